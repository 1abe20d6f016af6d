/// Reads what a server writes before a connection is a WebSocket: responses, one for each request.
#pragma once

#include <deque>
#include <string>
#include <string_view>

namespace webshocket::fuzz {

class HttpJudge {
 public:
  /// A request is on its way; to HEAD there is no body.
  void expect(bool is_head) { is_head_.push_back(is_head); }
  /// How many requests are on their way, and of what kind, nobody knows: only heads are judged, and
  /// bodies where nobody can have asked for a head.
  void lose_count(bool may_be_head);

  /// What is left of the input once the answer 101 has been read.
  std::string_view take(std::string_view bytes);

  bool is_upgraded() const noexcept { return is_upgraded_; }
  /// A header of the 101, by its name in lower case; empty: there is none.
  std::string header(std::string_view name) const;
  /// Of answers that end a request.
  unsigned answers() const noexcept { return answers_; }
  bool is_between_answers() const noexcept { return is_lost_ || pending_.empty(); }

 private:
  /// False if the answer is not complete yet.
  bool take_answer();

  std::deque<bool> is_head_;
  bool is_counted_ = true;
  bool is_lost_ = false;
  bool is_upgraded_ = false;
  bool is_over_ = false;  ///< the server has said that it closes
  unsigned answers_ = 0;
  std::string pending_;
  std::string head_;
};

}  // namespace webshocket::fuzz
