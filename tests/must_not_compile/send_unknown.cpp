// A type that has not said how to be sent.
// expect: no matching function for call to|no viable conversion|no matching member function
#include <string>

#include <webshocket/handler.hpp>

struct Line {
  std::string from, text;
#ifndef MUST_NOT_COMPILE
  WEBSHOCKET_FIELDS(Line, from, text)
#endif
};

void tell(webshocket::Handler& handler) { handler.broadcast(Line{"ann", "hi"}); }
