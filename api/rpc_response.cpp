#include <string>

#include <webshocket/client.hpp>
#include <webshocket/error.hpp>
#include <webshocket/packet.hpp>

namespace webshocket {

void OwnedRpcResponse::throw_if_error() const {
  const RpcResponse& answer = **this;
  if (!answer.error) return;
  const std::string text = answer.response.is_string() ? std::string(answer.response.string())
                                                       : to_string(answer.response);
  switch (*answer.error) {
    case RpcErrorCode::method_not_found:
      throw RpcMethodNotFoundError(text);
    case RpcErrorCode::rate_limit_exceeded:
      throw RateLimitError(text);
    default:
      // An application's empty text arrives as null.
      throw RpcError(answer.response.is_null() ? "" : text, *answer.error);
  }
}

}  // namespace webshocket
