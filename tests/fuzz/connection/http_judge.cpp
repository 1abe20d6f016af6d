#include "tests/fuzz/connection/http_judge.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "tests/fuzz/require.hpp"

namespace webshocket::fuzz {
namespace {

constexpr std::string_view kEnd = "\r\n\r\n";

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

std::string header_in(const std::string& head, std::string_view name) {
  const std::string wanted = "\r\n" + std::string(name) + ": ";
  const std::size_t begin = lower(head).find(wanted);
  if (begin == std::string::npos) return {};
  const std::size_t value = begin + wanted.size();
  return head.substr(value, head.find("\r\n", value) - value);
}

}  // namespace

void HttpJudge::lose_count(bool may_be_head) {
  is_counted_ = false;
  if (may_be_head || std::ranges::count(is_head_, true) != 0) is_lost_ = true;
}

std::string_view HttpJudge::take(std::string_view bytes) {
  if (is_lost_) return {};
  pending_ += bytes;
  while (!is_upgraded_ && take_answer()) {
  }
  if (!is_upgraded_) return {};
  return bytes.substr(bytes.size() - pending_.size());
}

std::string HttpJudge::header(std::string_view name) const { return header_in(head_, name); }

bool HttpJudge::take_answer() {
  const std::size_t end = pending_.find(kEnd);
  if (end == std::string::npos) {
    require(pending_.size() < 65536, "an answer without an end of its head");
    return false;
  }
  require(!is_over_, "an answer behind one that said Connection: close");
  head_ = pending_.substr(0, end + 2);
  require(head_.starts_with("HTTP/1.1 ") && head_.size() > 12, "an answer that is no HTTP");
  const int status = std::atoi(head_.c_str() + 9);
  require(status >= 100 && status <= 599, "an answer with an impossible status");
  require(std::ranges::all_of(head_,
                              [](char c) {
                                const auto byte = static_cast<unsigned char>(c);
                                return c == '\r' || c == '\n' || c == '\t' || byte >= 0x20;
                              }),
          "a control character in the head of an answer");
  std::size_t size = end + kEnd.size();
  if (status == 101) {
    is_upgraded_ = true;
  } else if (status == 100) {
    pending_.erase(0, size);
    return true;
  }
  require(!is_counted_ || !is_head_.empty(), "an answer that nobody has asked for");
  const bool is_head = !is_head_.empty() && is_head_.front();
  if (!is_upgraded_ && !is_head && status != 204 && status != 304) {
    const std::string length = header_in(head_, "content-length");
    require(!length.empty(), "an answer without the length of its body");
    const std::size_t body = std::strtoul(length.c_str(), nullptr, 10);
    if (pending_.size() - size < body) return false;
    size += body;
  }
  if (!is_upgraded_) is_over_ = lower(header_in(head_, "connection")) == "close";
  if (!is_head_.empty()) is_head_.pop_front();
  ++answers_;
  pending_.erase(0, size);
  return true;
}

}  // namespace webshocket::fuzz
