// A coroutine outlives the message that a view would point into.
// expect: a coroutine RPC method takes owning types by value
#include <string>
#include <string_view>

#include <webshocket/handler.hpp>

class Echo : public webshocket::Handler {
 public:
  Echo() { rpc("echo", &Echo::echo); }

 private:
#ifdef MUST_NOT_COMPILE
  webshocket::Task<std::string> echo(webshocket::Connection&, std::string_view text){
#else
  webshocket::Task<std::string> echo(webshocket::Connection&, std::string text) {
#endif
      co_return std::string(text);
}
}
;
