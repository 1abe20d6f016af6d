// One name against one pattern.

#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "api/glob.hpp"

namespace {

void match(benchmark::State& state, std::string_view pattern, std::string_view name) {
  const webshocket::Glob glob(pattern);
  for (auto _ : state) {
    benchmark::DoNotOptimize(name);
    benchmark::DoNotOptimize(glob.matches(name));
  }
}

BENCHMARK_CAPTURE(match, literal, "market.btc-usd", "market.btc-usd");
BENCHMARK_CAPTURE(match, prefix, "market.*", "market.btc-usd.trades");
BENCHMARK_CAPTURE(match, suffix, "*.trades", "market.btc-usd.trades");
BENCHMARK_CAPTURE(match, middle, "market.*.trades", "market.btc-usd.trades");
BENCHMARK_CAPTURE(match, other_prefix, "market.*", "weather.berlin");
BENCHMARK_CAPTURE(match, other_suffix, "market.*.trades", "market.btc-usd.quotes");
BENCHMARK_CAPTURE(match, questions, "market.?tc?us?", "market.btc-usd");
BENCHMARK_CAPTURE(match, sets, "market.[a-z][a-z][a-z]-[!0-9]*", "market.btc-usd");
BENCHMARK_CAPTURE(match, many_stars, "*a*a*a*a*b", std::string(64, 'a'));

void compile(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(webshocket::Glob("market.[a-z]*.trades"));
}
BENCHMARK(compile);

}  // namespace
