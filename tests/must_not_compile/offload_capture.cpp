// GCC 12 destroys a temporary lambda that owns something twice in a co_await expression.
// expect: name it first \(auto work = \[s\]
#include <string>

#include <webshocket/task.hpp>

webshocket::Task<std::string> shout(std::string text) {
#ifdef MUST_NOT_COMPILE
  co_return co_await webshocket::offload([text] { return text + "!"; });
#else
  auto work = [text] { return text + "!"; };
  const std::string first = co_await webshocket::offload(work);
  co_return first + co_await webshocket::offload([&] { return text; });
#endif
}
