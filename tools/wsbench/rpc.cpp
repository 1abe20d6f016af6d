#include "rpc.hpp"

#include <webshocket/error.hpp>
#include <webshocket/packet.hpp>

#include <array>
#include <charconv>
#include <span>

#include "dialect.hpp"
#include "message_template.hpp"

namespace wsbench {
namespace {

namespace ws = webshocket;

class Rpc final : public Dialogue {
 public:
  explicit Rpc(const RpcOptions& options) : options_(options), json_(options.format == "json") {
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      const auto number = static_cast<std::int64_t>(i);
      Call& made = calls_[i];
      made.sum = 1000 * number + 7 * number;
      made.request = MessageTemplate::of_bytes(
          call(json_, options.method,
               {{.kind = Argument::Kind::integer, .number = 1000 * number},
                {.kind = Argument::Kind::integer, .number = 7 * number}}),
          {});
    }
  }

  std::string path() const override { return options_.path; }
  std::string subprotocol() const override {
    return json_ ? "webshocket.v1.json" : "webshocket.v1";
  }
  bool is_text() const override { return json_; }

  std::string_view request(std::uint64_t number) override {
    const MessageTemplate& message = calls_[number % calls_.size()].request;
    scratch_ = message.bytes();
    message.write_id(number, scratch_.data());
    return scratch_;
  }

  std::optional<std::uint64_t> judge(std::string_view answer, std::uint64_t oldest) override {
    // Answers come in order, as a rule; and one that differs from a right one by its id only is
    // right too.
    Call& expected = calls_[oldest % calls_.size()];
    const std::size_t size = MessageTemplate::kIdHolder.size();
    if (answer.size() == expected.answer.size() &&
        answer.substr(0, expected.id_at) ==
            std::string_view(expected.answer).substr(0, expected.id_at) &&
        answer.substr(expected.id_at + size) ==
            std::string_view(expected.answer).substr(expected.id_at + size)) {
      return MessageTemplate::id_of(answer.substr(expected.id_at, size));
    }
    return decode(answer);
  }

 private:
  struct Call {
    MessageTemplate request;
    std::int64_t sum = 0;
    std::string answer;  ///< a right one; empty: none has come yet
    std::size_t id_at = 0;
  };

  std::optional<std::uint64_t> decode(std::string_view answer) {
    try {
      const ws::OwnedPacket packet =
          json_ ? ws::deserialize_json(answer) : ws::deserialize(std::as_bytes(std::span(answer)));
      const ws::RpcResponse* response = packet->response();
      if (response == nullptr || response->error) return std::nullopt;
      const auto number = MessageTemplate::id_of(response->call_id);
      if (!number) return std::nullopt;
      Call& call = calls_[*number % calls_.size()];
      if (response->response.get<std::int64_t>() != call.sum) return std::nullopt;
      call.id_at = answer.find(response->call_id);
      call.answer = call.id_at == std::string_view::npos ? "" : answer;
      return number;
    } catch (const ws::PacketError&) {
      return std::nullopt;
    }
  }

  const RpcOptions& options_;
  const bool json_;
  std::array<Call, 64> calls_;
  std::string scratch_;
};

}  // namespace

std::unique_ptr<Measurement> make_rpc(const RpcOptions& options, ServerProcess& server,
                                      Progress& progress) {
  return std::make_unique<Exchange>(options.exchange, Noun{"call", "calls"},
                                    std::make_unique<Rpc>(options), server, progress);
}

}  // namespace wsbench
