#include "result.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <thread>

namespace wsbench {
namespace {

using webshocket::Sink;

struct Percentile {
  std::string_view name;
  double share;
};

constexpr std::array kPercentiles{Percentile{"p50", 0.5}, Percentile{"p90", 0.9},
                                  Percentile{"p99", 0.99}, Percentile{"p99_9", 0.999},
                                  Percentile{"max", 1.0}};

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

void write_text(Sink& sink, std::string_view key, std::string_view text) {
  sink.string(key);
  sink.string(text);
}

template <class Texts>
void write_texts(Sink& sink, std::string_view key, const Texts& texts) {
  sink.string(key);
  sink.begin_array(texts.size());
  for (const std::string& text : texts) sink.string(text);
  sink.end_array();
}

}  // namespace

void Result::add_latency(const Histogram& latency) {
  latency_ns = latency;
  for (const auto& [name, share] : kPercentiles) {
    add("latency_" + std::string(name) + "_ns", static_cast<double>(latency.at(share)));
  }
}

const double* Result::find(std::string_view name) const noexcept {
  const auto found = std::ranges::find(figures, name, &Figure::name);
  return found == figures.end() ? nullptr : &found->value;
}

void write_number(Sink& sink, double value) {
  constexpr double kExact = 9e15;
  if (std::abs(value) < kExact && value == std::floor(value)) {
    sink.integer(static_cast<std::int64_t>(value));
  } else {
    sink.real(value);
  }
}

void webshocket_write(Sink& sink, const Histogram& histogram) {
  const auto buckets = histogram.buckets();
  sink.begin_array(buckets.size());
  for (const auto& [upper, count] : buckets) {
    sink.begin_array(2);
    sink.unsigned_integer(upper);
    sink.unsigned_integer(count);
    sink.end_array();
  }
  sink.end_array();
}

void webshocket_write(Sink& sink, const Result& result) {
  sink.begin_map(2);
  sink.string("figures");
  sink.begin_map(result.figures.size());
  for (const Figure& figure : result.figures) {
    sink.string(figure.name);
    write_number(sink, figure.value);
  }
  sink.end_map();
  write_texts(sink, "faults", result.faults);
  sink.end_map();
}

Circumstances::Circumstances(std::vector<std::string> command_line)
    : command_line_(std::move(command_line)) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  date_ = text.data();
}

void Circumstances::write_members(Sink& sink) const {
  write_text(sink, "wsbench", WEBSHOCKET_VERSION);
  write_text(sink, "date", date_);
  write_texts(sink, "command_line", command_line_);
  utsname system{};
  uname(&system);
  sink.string("machine");
  sink.begin_map(4);
  write_text(sink, "cpu", cpu_model());
  sink.string("cpus");
  sink.integer(std::thread::hardware_concurrency());
  write_text(sink, "kernel", std::string(system.sysname) + " " + system.release);
  write_text(sink, "architecture", system.machine);
  sink.end_map();
}

std::string text_of(double value) {
  std::array<char, 64> digits{};
  const double size = std::abs(value);
  if (size >= 1000 || value == std::floor(value)) {
    std::snprintf(digits.data(), digits.size(), "%.0f", value);
    std::string text = digits.data();
    const std::size_t first = text.starts_with('-') ? 1 : 0;
    for (std::size_t at = text.size(); at > first + 3;) text.insert(at -= 3, ",");
    return text;
  }
  const int decimals = size >= 100 ? 1 : (size >= 10 ? 2 : (size >= 1 ? 3 : 4));
  std::snprintf(digits.data(), digits.size(), "%.*f", decimals, value);
  return digits.data();
}

}  // namespace wsbench
