// What a method takes must be something that can be read from a message.
// expect: a parameter of this RPC method cannot be read from a message
#include <string>

#include <webshocket/handler.hpp>

struct Line {
  std::string from, text;
#ifndef MUST_NOT_COMPILE
  WEBSHOCKET_FIELDS(Line, from, text)
#endif
};

class Chat : public webshocket::Handler {
 public:
  Chat() {
    rpc("say", [](const Line& line) { return line.text; });
  }
};
