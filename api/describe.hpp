/// What clients may call, told as one value: for `Server::describe()`, and so for tools that make
/// declarations of it (tools/typescript.py reads its JSON).
#pragma once

#include <string>
#include <vector>

#include <webshocket/handler.hpp>
#include <webshocket/payload.hpp>
#include <webshocket/value.hpp>

namespace webshocket::detail {

/// The methods of a handler in order of their names, each as
///
///     { name, doc, params: [{ name, type, optional, [default] }], args, kwargs, result, stream,
///       requires, rate_limit: null | { limit, period, disconnect } }
///
/// `args` and `kwargs` say whether further ones are taken; types are TypeScript's; a parameter
/// without a name (it can be given by position only) has null there; `requires` is null or the
/// predicate's text; a period is in seconds. On the handler's thread.
class MethodList {
 public:
  explicit MethodList(const Handler& handler) : methods_(handler.methods()) {}
  void write(Sink& sink) const;

 private:
  std::vector<const RpcMethod*> methods_;
};

struct RouteDescription {
  std::string path;  ///< empty: every other path
  Document methods;  ///< a `MethodList`
  WEBSHOCKET_FIELDS(RouteDescription, path, methods)
};

/// All of a server.
struct Description {
  std::vector<RouteDescription> routes;
  WEBSHOCKET_FIELDS(Description, routes)
};

}  // namespace webshocket::detail
