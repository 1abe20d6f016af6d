// So it does a reference to an argument.
// expect: a coroutine RPC method takes owning types by value
#include <string>

#include <webshocket/handler.hpp>

class Echo : public webshocket::Handler {
 public:
  Echo() { rpc("echo", &Echo::echo); }

 private:
#ifdef MUST_NOT_COMPILE
  webshocket::Stream<std::string> echo(const std::string& text){
#else
  webshocket::Stream<std::string> echo(std::string text) {
#endif
      co_yield text;
}
}
;
