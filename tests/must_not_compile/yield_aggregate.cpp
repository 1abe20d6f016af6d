// GCC 12 destroys a brace-initialised aggregate in a co_yield expression twice.
// expect: use of deleted function.*yield_value|call to deleted member function
// 'yield_value'|overload resolution selected deleted
#include <string>

#include <webshocket/task.hpp>

struct Line {
  std::string from, text;
};

webshocket::Stream<Line> lines(std::string name) {
#ifdef MUST_NOT_COMPILE
  co_yield Line{name, "hi"};
#else
  Line line{name, "hi"};
  co_yield line;
#endif
}
