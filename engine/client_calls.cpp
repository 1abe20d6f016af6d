#include "engine/client_calls.hpp"

#include <array>
#include <charconv>
#include <utility>

#include <webshocket/error.hpp>

namespace webshocket::engine {
namespace {

constexpr int kBase = 16;

}  // namespace

std::string ClientCalls::id_of(std::uint64_t number) {
  std::array<char, 16> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number, kBase).ptr;
  return {text.data(), end};
}

void ClientCalls::add(std::shared_ptr<PendingCall> call) {
  const std::lock_guard lock(mutex_);
  if (limit_ != 0 && calls_.size() >= limit_) {
    throw WebSocketError("max_calls reached: " + std::to_string(limit_) +
                         " calls wait for answers already");
  }
  const std::uint64_t number = call->number;
  calls_.emplace(number, std::move(call));
  size_.store(calls_.size(), std::memory_order_relaxed);
}

bool ClientCalls::remove(PendingCall& call) {
  const bool waited = take_out(call.number);
  if (call.is_stream) backlog_.gone(call.level);
  return waited;
}

bool ClientCalls::take_out(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  const bool was_there = calls_.erase(number) != 0;
  size_.store(calls_.size(), std::memory_order_relaxed);
  return was_there;
}

std::shared_ptr<PendingCall> ClientCalls::find(std::string_view id) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number, kBase);
  if (error != std::errc() || end != id.data() + id.size()) return nullptr;
  const std::lock_guard lock(mutex_);
  const auto found = calls_.find(number);
  return found == calls_.end() ? nullptr : found->second;
}

ClientCalls::Outcome ClientCalls::answer(const Packet& packet, std::size_t bytes) {
  const RpcResponse& response = *packet.response();
  const std::shared_ptr<PendingCall> call = find(response.call_id);
  if (call == nullptr) return Outcome::unwanted;
  const bool goes_on = response.is_stream && !response.is_end && !response.error;
  const bool is_unexpected = response.is_stream && !response.error && !call->is_stream;
  if ((!goes_on || is_unexpected) && !take_out(call->number)) return Outcome::unwanted;
  if (is_unexpected) {
    call->answers->end(std::make_exception_ptr(RpcError(
        "the method streams its answer: call it by stream()", RpcErrorCode::invalid_params)));
    return goes_on ? Outcome::unexpected : Outcome::taken;
  }
  // A stream's end has no chunk of its own: what it holds repeats the last one.
  const bool is_bare_end = response.is_stream && response.is_end && !response.error;
  if (!is_bare_end) {
    if (call->is_stream) backlog_.added(call->level, bytes);
    call->answers->push({OwnedRpcResponse(OwnedPacket(packet)), bytes});
  }
  if (!goes_on) call->answers->end();
  return Outcome::taken;
}

void ClientCalls::end_all(const std::exception_ptr& why) {
  std::unordered_map<std::uint64_t, std::shared_ptr<PendingCall>> ended;
  {
    const std::lock_guard lock(mutex_);
    ended.swap(calls_);
    size_.store(0, std::memory_order_relaxed);
  }
  for (const auto& [number, call] : ended) call->answers->end(why);
}

}  // namespace webshocket::engine
