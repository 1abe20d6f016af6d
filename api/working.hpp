/// What runs on a shard at this moment, for the thread that looks at shards that take too long.
#pragma once

#include <atomic>
#include <string_view>

#include <webshocket/detail/hub.hpp>

namespace webshocket::detail {

/// A name for one of the user's functions. Lives as long as the process.
struct Label {
  std::string_view text;
};

inline constexpr Label kOnStop{"on_stop"};
inline constexpr Label kOnUpgrade{"on_upgrade"};
inline constexpr Label kOnConnect{"on_connect"};
inline constexpr Label kOnReceive{"on_receive"};
inline constexpr Label kOnMessage{"on_message"};
inline constexpr Label kOnDropped{"on_dropped"};
inline constexpr Label kOnDrained{"on_drained"};
inline constexpr Label kOnDisconnect{"on_disconnect"};
inline constexpr Label kHttp{"an HTTP handler"};
inline constexpr Label kTask{"a task"};
inline constexpr Label kTimer{"a timer's function"};
inline constexpr Label kDeferred{"a deferred function"};
inline constexpr Label kPosted{"a posted function"};

/// "RPC method 'add'": one for each name that there has been, and all are kept, as who looks does
/// so from another thread. Any thread.
const Label& label_of_method(std::string_view name);

/// Says so for as long as it lives. Nests. On the hub's own thread: costs two stores.
class Working {
 public:
  Working(Hub& hub, const Label& label) noexcept
      : slot_(hub.working_slot()), before_(slot_.load(std::memory_order_relaxed)) {
    slot_.store(&label, std::memory_order_release);
  }
  ~Working() { slot_.store(before_, std::memory_order_release); }
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;

 private:
  std::atomic<const Label*>& slot_;
  const Label* before_;
};

}  // namespace webshocket::detail
