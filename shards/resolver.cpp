#include "shards/resolver.hpp"

#include <netdb.h>
#include <sys/un.h>

#include <cstring>
#include <memory>
#include <utility>

#include <webshocket/error.hpp>

#include "shards/socket.hpp"

namespace webshocket::shards {

struct Resolver::Question {
  uv_getaddrinfo_t request{};
  Resolver* asker = nullptr;  ///< null: nobody wants to know any more
  Answer answer;
};

std::string SocketAddress::to_string() const { return address_of(storage).to_string(); }

std::optional<SocketAddress> SocketAddress::parse(std::string_view host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(std::string(host).c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return std::nullopt;
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, ::freeaddrinfo);
  SocketAddress address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  return address;
}

std::optional<SocketAddress> SocketAddress::unix_path(std::string_view path) noexcept {
  sockaddr_un name{};
  if (path.empty() || path.size() >= sizeof name.sun_path) return std::nullopt;
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  SocketAddress address;
  std::memcpy(&address.storage, &name, sizeof name);
  address.size = sizeof name;
  return address;
}

void Resolver::ask(Loop& loop, const std::string& host, std::uint16_t port, Answer answer) {
  cancel();
  auto question = std::make_unique<Question>();
  question->asker = this;
  question->answer = std::move(answer);
  question->request.data = question.get();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  const int error = uv_getaddrinfo(
      loop.get(), &question->request,
      [](uv_getaddrinfo_t* request, int status, addrinfo* found) noexcept {
        const std::unique_ptr<Question> asked(static_cast<Question*>(request->data));
        std::vector<SocketAddress> addresses;
        for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
          SocketAddress& address = addresses.emplace_back();
          std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
          address.size = at->ai_addrlen;
        }
        uv_freeaddrinfo(found);
        if (asked->asker == nullptr) return;
        asked->asker->question_ = nullptr;
        asked->answer(std::move(addresses), status == 0 ? "" : uv_strerror(status));
      },
      host.c_str(), std::to_string(port).c_str(), &hints);
  if (error != 0) throw WebSocketError("cannot look up " + host + ": " + uv_strerror(error));
  question_ = question.release();
}

void Resolver::cancel() noexcept {
  if (question_ == nullptr) return;
  question_->asker = nullptr;
  uv_cancel(reinterpret_cast<uv_req_t*>(&question_->request));
  question_ = nullptr;
}

}  // namespace webshocket::shards
