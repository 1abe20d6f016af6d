#include "api/describe.hpp"

#include <chrono>

#include <webshocket/rpc.hpp>

namespace webshocket::detail {
namespace {

template <class T>
void member(Sink& sink, std::string_view name, const T& value) {
  sink.string(name);
  detail::write(sink, value);
}

void write_parameter(Sink& sink, const ParameterType& type, const ParamSpec* spec) {
  const bool has_default = spec != nullptr && spec->fallback != nullptr;
  sink.begin_map(has_default ? 4 : 3);
  sink.string("name");
  if (spec == nullptr) {
    sink.null();
  } else {
    sink.string(spec->name);
  }
  member(sink, "type", type.type);
  member(sink, "optional", type.optional || has_default);
  if (has_default) member(sink, "default", *spec->fallback);
  sink.end_map();
}

void write_parameters(Sink& sink, const RpcMethod& method) {
  const auto types = method.invoker().parameter_types();
  const auto specs = method.params();
  sink.begin_array(types.size());
  for (std::size_t i = 0; i < types.size(); ++i) {
    write_parameter(sink, types[i], i < specs.size() ? &specs[i] : nullptr);
  }
  sink.end_array();
}

void write_rate_limit(Sink& sink, const RpcMethod& method) {
  const auto& limit = method.rate_limit();
  if (!limit) return sink.null();
  const double seconds = std::chrono::duration<double>(limit->period).count();
  map("limit", limit->limit, "period", seconds, "disconnect", limit->disconnect).write(sink);
}

void write_method(Sink& sink, const RpcMethod& method) {
  const Invoker& invoker = method.invoker();
  sink.begin_map(9);
  member(sink, "name", method.name());
  member(sink, "doc", method.doc());
  sink.string("params");
  write_parameters(sink, method);
  member(sink, "args", invoker.takes_values());
  member(sink, "kwargs", invoker.takes_keywords());
  member(sink, "result", invoker.result_type());
  member(sink, "stream", invoker.is_stream());
  sink.string("requires");
  if (method.predicate().empty()) {
    sink.null();
  } else {
    sink.string(method.predicate().to_string());
  }
  sink.string("rate_limit");
  write_rate_limit(sink, method);
  sink.end_map();
}

}  // namespace

void MethodList::write(Sink& sink) const {
  sink.begin_array(methods_.size());
  for (const RpcMethod* method : methods_) write_method(sink, *method);
  sink.end_array();
}

}  // namespace webshocket::detail
