#include "tools/wsbench/suite.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <variant>

#include "tools/wsbench/case_options.hpp"
#include "tools/wsbench/failure.hpp"

using wsbench::parse_case;
using wsbench::read_suite;
using wsbench::split_words;
using wsbench::Suite;
using wsbench::UsageFailure;

namespace {

/// A file that is there as long as this is.
class SuiteFile {
 public:
  explicit SuiteFile(const std::string& text) {
    const int file = ::mkstemp(path_.data());
    REQUIRE(file >= 0);
    ::close(file);
    std::ofstream(path_) << text;
  }
  ~SuiteFile() { ::unlink(path_.c_str()); }
  SuiteFile(const SuiteFile&) = delete;
  SuiteFile& operator=(const SuiteFile&) = delete;

  Suite read() const { return read_suite(path_); }
  std::string fault() const {
    try {
      read();
    } catch (const UsageFailure& failure) {
      return failure.what();
    }
    return "";
  }

 private:
  std::string path_ = "/tmp/wsbench_suite_XXXXXX";
};

const std::string kServers = R"(
[[server]]
name = "ours"
command = "ours {port}"
[[server]]
name = "theirs"
command = "ws://127.0.0.1:1/"
)";

bool contains(const std::string& text, const std::string& what) {
  return text.find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("suite: servers, cases, bounds") {
  const SuiteFile file("runs = 3\nserver_cpu = 1\nclient_cpu = 0\n" + kServers + R"(
[[case]]
name = "small"
run = "fanout --subscribers 10 --publish 'a {payload}'"
at_most = { theirs = 0.5 }
[[case]]
name = "alone"
run = "rpc --format json"
servers = ["theirs"]
)");
  const Suite suite = file.read();
  CHECK(suite.runs == 3);
  CHECK(suite.client_cpu == 0);
  REQUIRE(suite.comparisons.size() == 2);
  const auto& small = suite.comparisons[0];
  CHECK(small.spec.name == "small");
  const auto& fanout = std::get<wsbench::FanoutOptions>(small.spec.what);
  CHECK(fanout.subscribers == 10);
  CHECK(fanout.dialect.publish == "a {payload}");
  REQUIRE(small.contenders.size() == 2);
  CHECK(small.contenders[0].server.command == "ours {port}");
  CHECK(small.contenders[0].server.server_cpu == 1);
  CHECK(small.contenders[1].server.uri == "ws://127.0.0.1:1/");
  REQUIRE(small.bounds.size() == 1);
  CHECK(small.bounds[0].figure == "server_cpu_ns_per_delivery");
  const auto& alone = suite.comparisons[1];
  CHECK(alone.contenders.size() == 1);
  CHECK(std::get<wsbench::RpcOptions>(alone.spec.what).format == "json");
}

TEST_CASE("suite: a server may be measured in a way of its own") {
  const SuiteFile file(kServers + R"(options = "--preset json"
[[case]]
name = "both"
run = "fanout --subscribers 10"
)");
  const Suite suite = file.read();
  const auto& both = suite.comparisons.at(0);
  CHECK_FALSE(both.contenders[0].what);
  REQUIRE(both.contenders[1].what);
  const auto& fanout = std::get<wsbench::FanoutOptions>(*both.contenders[1].what);
  CHECK(fanout.subscribers == 10);
  CHECK(fanout.dialect.preset == "json");
  CHECK(both.contenders[1].options == "--preset json");

  const std::string wrong = kServers + "options = \"--perset json\"\n";
  CHECK(contains(SuiteFile(wrong + "[[case]]\nname = \"a\"\nrun = \"fanout\"").fault(), "perset"));
}

TEST_CASE("suite: what is wrong is said") {
  CHECK(contains(SuiteFile("runs = ").fault(), "line 1"));
  CHECK(contains(SuiteFile("runs = 0").fault(), "runs is less than 1"));
  CHECK(contains(SuiteFile("").fault(), "no [[server]]"));
  CHECK(contains(SuiteFile(kServers).fault(), "no [[case]]"));
  CHECK(contains(SuiteFile(kServers + "[[case]]\nname = \"a\"").fault(), "case a: run is missing"));
  CHECK(contains(SuiteFile(kServers + "[[case]]\nname = \"a\"\nrun = \"dance\"").fault(), "dance"));
  const std::string good = kServers + "[[case]]\nname = \"a\"\nrun = \"echo\"\n";
  CHECK(SuiteFile(good).fault().empty());
  CHECK(contains(SuiteFile(good + "speed = 3").fault(), "case a: unknown: speed"));
  CHECK(contains(SuiteFile(good + "servers = [\"x\"]").fault(), "no server x"));
  CHECK(contains(SuiteFile(good + "at_most = { x = 1.0 }").fault(), "no server x"));
  CHECK(contains(SuiteFile("rums = 3\n" + good).fault(), "unknown: rums"));
}

TEST_CASE("suite: a case as words") {
  const auto spec = parse_case(split_words("stall --share 0.5 --rate 50"));
  const auto& stall = std::get<wsbench::StallOptions>(spec.what);
  CHECK(stall.fanout.stalled_share == 0.5);
  CHECK(stall.fanout.loop.rate == 50);
  CHECK(spec.settings[0] == std::pair<std::string, std::string>{"case", "stall"});
  CHECK_THROWS_AS(parse_case({}), UsageFailure);
  CHECK_THROWS_AS(parse_case({"fanout", "--subscribers", "0"}), UsageFailure);
  CHECK_THROWS_AS(parse_case({"fanout", "--rate", "5", "--in-flight", "3"}), UsageFailure);
  CHECK_THROWS_AS(parse_case({"fanout", "echo"}), UsageFailure);
}
