// What takes the rest stands last.
// expect: are the last parameters of an RPC method
#include <webshocket/handler.hpp>

#ifdef MUST_NOT_COMPILE
int sum(const webshocket::Values& values, int first) {
#else
int sum(int first, const webshocket::Values& values) {
#endif
  return first + static_cast<int>(values.size());
}

class Sum : public webshocket::Handler {
 public:
  Sum() { rpc("sum", &sum); }
};
