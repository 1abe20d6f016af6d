// A task is awaited once: say so by moving it.
// expect: use of deleted function|overload resolution selected deleted operator
#include <webshocket/task.hpp>

webshocket::Task<int> one() { co_return 1; }

webshocket::Task<int> two() {
  auto task = one();
#ifdef MUST_NOT_COMPILE
  co_return co_await task;
#else
  co_return co_await std::move(task);
#endif
}
