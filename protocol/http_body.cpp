#include "protocol/http_body.hpp"

#include <algorithm>
#include <utility>

#include "protocol/http_fields.hpp"

namespace webshocket::protocol {
namespace {

// A chunk's size with its extensions, on one line.
constexpr std::size_t kMaxSizeLine = 256;

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void HttpBodyReader::start(State state, std::uint64_t left, std::size_t limit, Excess excess) {
  body_.clear();
  fault_ = {};
  left_ = left;
  limit_ = limit;
  excess_ = excess;
  state_ = state;
  status_ = state == State::done ? Status::complete : Status::incomplete;
}

void HttpBodyReader::start_empty() { start(State::done, 0, 0, Excess::refuse); }

void HttpBodyReader::start_length(std::uint64_t length, std::size_t limit, Excess excess) {
  start(length == 0 ? State::done : State::fixed, length, limit, excess);
  check_limit();
}

void HttpBodyReader::start_chunked(std::size_t limit, std::size_t trailer_limit, Excess excess) {
  start(State::size_start, 0, limit, excess);
  overhead_left_ = kMaxSizeLine;
  trailer_limit_ = trailer_limit;
}

void HttpBodyReader::start_until_close(std::size_t limit, Excess excess) {
  start(State::until_close, 0, limit, excess);
}

HttpBodyReader::Status HttpBodyReader::feed(std::span<const std::byte>& input) {
  while (status_ == Status::incomplete && !input.empty()) {
    if (in_payload()) {
      take_payload(input);
    } else {
      step(static_cast<char>(input.front()));
      input = input.subspan(1);
    }
  }
  return status_;
}

HttpBodyReader::Status HttpBodyReader::end_of_input() {
  if (status_ == Status::incomplete) {
    if (state_ == State::until_close) {
      status_ = Status::complete;
    } else {
      refuse("The connection ended in the middle of the body.");
    }
  }
  return status_;
}

bool HttpBodyReader::in_payload() const noexcept {
  return state_ == State::fixed || state_ == State::chunk || state_ == State::until_close;
}

void HttpBodyReader::take_payload(std::span<const std::byte>& input) {
  std::size_t count = input.size();
  if (state_ != State::until_close) {
    count = static_cast<std::size_t>(std::min<std::uint64_t>(count, left_));
    left_ -= count;
  }
  const std::size_t kept = std::min(count, limit_ - body_.size());
  body_.append(reinterpret_cast<const char*>(input.data()), kept);
  input = input.subspan(count);
  if (kept < count && excess_ == Excess::refuse) {
    status_ = Status::too_large;
  } else if (state_ == State::chunk && left_ == 0) {
    state_ = State::chunk_return;
  } else if (state_ == State::fixed && left_ == 0) {
    status_ = Status::complete;
  }
}

void HttpBodyReader::step(char c) {
  if (overhead_left_ == 0) return refuse("A chunk's header or the trailer is too long.");
  --overhead_left_;
  switch (state_) {
    case State::size_start:
      left_ = 0;
      state_ = State::size;
      if (hex_value(c) < 0) return refuse("A chunk's size is not a number.");
      [[fallthrough]];
    case State::size:
      if (const int digit = hex_value(c); digit >= 0) {
        if (left_ >> 60 != 0) return refuse("A chunk's size is not a number of 64 bits.");
        left_ = left_ << 4 | static_cast<unsigned>(digit);
      } else if (c == ';') {
        state_ = State::extension;
      } else if (c == '\r') {
        state_ = State::size_line_feed;
      } else {
        refuse("A chunk's size is not a number.");
      }
      return;
    case State::extension:
      if (c == '\r') {
        state_ = State::size_line_feed;
      } else if (is_control(c) && c != '\t') {
        refuse("A chunk's header holds a control character.");
      }
      return;
    case State::size_line_feed:
      if (c != '\n') return refuse("A carriage return without a line feed.");
      return end_size_line();
    case State::chunk_return:
      if (c != '\r') return refuse("A chunk is longer than its size.");
      state_ = State::chunk_line_feed;
      return;
    case State::chunk_line_feed:
      if (c != '\n') return refuse("A carriage return without a line feed.");
      state_ = State::size_start;
      overhead_left_ = kMaxSizeLine;
      return;
    case State::trailer_start:
      if (c == ' ' || c == '\t') return refuse("A folded line in the trailer.");
      [[fallthrough]];
    case State::trailer:
      if (c == '\r') {
        state_ = state_ == State::trailer_start ? State::last_line_feed : State::trailer_line_feed;
      } else if (is_control(c) && c != '\t') {
        refuse("The trailer holds a control character.");
      } else {
        state_ = State::trailer;
      }
      return;
    case State::trailer_line_feed:
      if (c != '\n') return refuse("A carriage return without a line feed.");
      state_ = State::trailer_start;
      return;
    case State::last_line_feed:
      if (c != '\n') return refuse("A carriage return without a line feed.");
      status_ = Status::complete;
      return;
    case State::done:
    case State::fixed:
    case State::until_close:
    case State::chunk:
      return;  // `in_payload`
  }
}

void HttpBodyReader::end_size_line() {
  if (left_ == 0) {
    state_ = State::trailer_start;
    overhead_left_ = trailer_limit_;
    return;
  }
  state_ = State::chunk;
  overhead_left_ = 2;
  check_limit();
}

void HttpBodyReader::check_limit() {
  if (excess_ == Excess::refuse && left_ > limit_ - body_.size()) status_ = Status::too_large;
}

void HttpBodyReader::refuse(std::string_view fault) {
  fault_ = fault;
  status_ = Status::malformed;
}

}  // namespace webshocket::protocol
