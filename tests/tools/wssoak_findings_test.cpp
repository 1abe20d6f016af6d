#include "tools/wssoak/findings.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tools/wssoak/plot.hpp"
#include "tools/wssoak/report.hpp"

namespace {

/// Six minutes at the load that was wanted, everything put to the test.
wssoak::Findings good_findings() {
  wssoak::Findings findings;
  for (int i = 1; i <= 72; ++i) {
    wssoak::Sample sample;
    sample.seconds = 5.0 * i;
    sample.machine_cpu = 0.7;
    sample.server_rss_mib = 100 + i % 3;
    sample.server_heap_mib = 50 + i % 5;
    sample.clients_heap_mib = 40;
    findings.samples.push_back(sample);
  }
  for (const auto& [name, value] : wssoak::numbers_of({})) findings.numbers[name] = value + 1;
  findings.numbers["calls_cancelled"] = 1;
  return findings;
}

wssoak::Findings judged(wssoak::Findings findings) {
  wssoak::judge(findings, {});
  return findings;
}

}  // namespace

TEST_CASE("findings: a soak that held") {
  const auto findings = judged(good_findings());
  CHECK(findings.faults.empty());
  CHECK(findings.load == doctest::Approx(0.7));
  CHECK(wssoak::markdown_of(findings, {}).find("All held") != std::string::npos);
}

TEST_CASE("findings: growing memory is a fault, of either side") {
  for (const auto memory : {&wssoak::Sample::server_rss_mib, &wssoak::Sample::server_heap_mib,
                            &wssoak::Sample::clients_heap_mib}) {
    auto findings = good_findings();
    for (wssoak::Sample& sample : findings.samples) sample.*memory += sample.seconds / 20;
    findings = judged(std::move(findings));
    REQUIRE(findings.faults.size() == 1);
    CHECK(findings.faults[0].find("has grown by") != std::string::npos);
    CHECK(wssoak::markdown_of(findings, {}).find("Not all held") != std::string::npos);
  }
}

TEST_CASE("findings: a hole in memory is none, a small leak is") {
  auto findings = good_findings();
  for (std::size_t i = 50; i < findings.samples.size(); ++i) {
    findings.samples[i].server_rss_mib += 3;
  }
  CHECK(judged(std::move(findings)).faults.empty());
  findings = good_findings();
  for (wssoak::Sample& sample : findings.samples) sample.clients_heap_mib += sample.seconds / 200;
  const auto faults = judged(std::move(findings)).faults;
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].starts_with("the clients' heap has grown by 2."));
}

TEST_CASE("findings: mistakes of clients, a load that was not reached, what never happened") {
  auto findings = good_findings();
  findings.tally.mistake("order", "room-1, number 3 after a later one");
  CHECK(judged(findings).faults == std::vector<std::string>{"order: 1 mistakes"});

  findings = good_findings();
  for (wssoak::Sample& sample : findings.samples) sample.machine_cpu = 0.6;
  CHECK(judged(findings).faults ==
        std::vector<std::string>{"the machine was used to 60.00 %, not to 70.00 %"});

  findings = good_findings();
  findings.numbers["dropped_conflated"] = 0;
  CHECK(judged(findings).faults ==
        std::vector<std::string>{"dropped_conflated is 0: that was not put to the test"});
}

TEST_CASE("findings: a short soak is judged by its counts alone") {
  wssoak::Findings findings;
  findings.samples.resize(3);
  CHECK(judged(findings).faults.empty());
  findings.tally.mistake("call", "the sum is wrong");
  CHECK(judged(findings).faults.size() == 1);
}

TEST_CASE("findings: as a table and as a plot") {
  const auto findings = good_findings();
  const std::string csv = wssoak::csv_of(findings.samples);
  CHECK(csv.starts_with("seconds,factor,machine_cpu,"));
  CHECK(std::ranges::count(csv, '\n') == 73);
  CHECK(csv.find("\n5,0,0.7,") != std::string::npos);
  const std::string svg = wssoak::svg_of(
      {"A < B",
       "minutes",
       "MiB",
       {{"server", series_of(findings.samples, &wssoak::Sample::server_rss_mib)}, {"none", {}}}});
  CHECK(svg.starts_with("<svg "));
  CHECK(svg.find("A &lt; B") != std::string::npos);
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(svg.find("inf") == std::string::npos);
}
