#include "tally.hpp"

#include <utility>

namespace wssoak {
namespace {

constexpr std::size_t kExamples = 20;

constexpr std::pair<const char*, std::uint64_t Tally::*> kCounts[] = {
    {"calls", &Tally::calls},
    {"streams", &Tally::streams},
    {"streams_abandoned", &Tally::streams_abandoned},
    {"stream_items", &Tally::stream_items},
    {"publishes", &Tally::publishes},
    {"broadcasts", &Tally::broadcasts},
    {"visits", &Tally::visits},
    {"visits_cut", &Tally::visits_cut},
    {"visits_refused", &Tally::visits_refused},
    {"visits_left", &Tally::visits_left},
    {"slow_closed", &Tally::slow_closed},
    {"held_back", &Tally::held_back},
    {"received_whole", &Tally::received_whole},
    {"received_cut", &Tally::received_cut},
    {"mistakes", &Tally::mistakes},
};

}  // namespace

void Tally::mistake(const std::string& kind, const std::string& text) {
  ++mistakes;
  ++mistakes_by_kind[kind];
  if (examples.size() < kExamples) examples.push_back(kind + ": " + text);
}

void Tally::add(const Tally& other) {
  for (const auto& [name, count] : kCounts) this->*count += other.*count;
  for (const auto& [kind, count] : other.mistakes_by_kind) mistakes_by_kind[kind] += count;
  for (const std::string& example : other.examples) {
    if (examples.size() < kExamples) examples.push_back(example);
  }
  call_ns.merge(other.call_ns);
  delivery_ns.merge(other.delivery_ns);
}

std::map<std::string, std::uint64_t> Tally::counts() const {
  std::map<std::string, std::uint64_t> counts;
  for (const auto& [name, count] : kCounts) counts[name] = this->*count;
  return counts;
}

}  // namespace wssoak
