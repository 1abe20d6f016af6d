// What a method returns must be something that can be sent.
// expect: the result of this RPC method cannot be sent
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
  Chat() { rpc("last", &Chat::last); }

 private:
  Line last() { return {"ann", "hi"}; }
};
