// A method cannot answer by its parameters.
// expect: an RPC method takes its arguments by value or const reference
#include <string>

#include <webshocket/handler.hpp>

class Chat : public webshocket::Handler {
 public:
  Chat() {
#ifdef MUST_NOT_COMPILE
    rpc("say", [](std::string& text) { text += "!"; });
#else
    rpc("say", [](const std::string& text) { return text + "!"; });
#endif
  }
};
