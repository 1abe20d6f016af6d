#include "echo.hpp"

#include <random>

namespace wsbench {
namespace {

/// Each request is another part of one text, so that an answer to another one is noticed.
class Echo final : public Dialogue {
 public:
  Echo(const EchoOptions& options, const std::string& uri_path)
      : options_(options), path_(options.path), text_(options.size + kShifts, ' ') {
    if (path_.empty()) path_ = uri_path == "/" ? "/raw/echo" : uri_path;
    std::minstd_rand random;
    std::uniform_int_distribution<int> character(options.text ? ' ' : 0, options.text ? '~' : 255);
    for (char& one : text_) one = static_cast<char>(character(random));
  }

  std::string path() const override { return path_; }
  std::string subprotocol() const override { return options_.subprotocol; }
  bool is_text() const override { return options_.text; }

  std::string_view request(std::uint64_t number) override {
    return std::string_view(text_).substr(number % kShifts, options_.size);
  }

  std::optional<std::uint64_t> judge(std::string_view answer, std::uint64_t oldest) override {
    if (answer != request(oldest)) return std::nullopt;
    return oldest;
  }

 private:
  static constexpr std::size_t kShifts = 61;

  const EchoOptions& options_;
  std::string path_;
  std::string text_;
};

}  // namespace

std::unique_ptr<Measurement> make_echo(const EchoOptions& options, ServerProcess& server,
                                       Progress& progress) {
  return std::make_unique<Exchange>(options.exchange, Noun{"echo", "echoes"},
                                    std::make_unique<Echo>(options, Target(server.uri()).path()),
                                    server, progress);
}

}  // namespace wsbench
