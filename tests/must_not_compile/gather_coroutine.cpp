// Every shard is asked at once; a coroutine there would have no call to belong to.
// expect: gather\(\) runs plain members, not coroutines
#include <vector>

#include <webshocket/handler.hpp>

class Chat : public webshocket::Handler {
 public:
  webshocket::Task<std::vector<int>> all() { co_return co_await gather(&Chat::one); }

 private:
#ifdef MUST_NOT_COMPILE
  webshocket::Task<int> one() { co_return 1; }
#else
  int one() { return 1; }
#endif
};
