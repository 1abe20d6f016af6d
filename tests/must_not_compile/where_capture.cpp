// A predicate runs later and on other threads: it gets values, not captures.
// expect: where\(\) takes a callable without captures
#include <string>

#include <webshocket/connection.hpp>
#include <webshocket/predicate.hpp>

webshocket::Predicate speaks(std::string language) {
#ifdef MUST_NOT_COMPILE
  return webshocket::where(
      [language](const webshocket::Connection& c) { return c.find(language) != nullptr; });
#else
  return webshocket::where([](const webshocket::Connection& c,
                              const std::string& key) { return c.find(key) != nullptr; },
                           language);
#endif
}
