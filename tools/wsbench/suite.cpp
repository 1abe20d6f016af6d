#include "suite.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <string_view>

#include "case_options.hpp"
#include "failure.hpp"

namespace wsbench {
namespace {

/// One table of the file: takes known members out, and refuses what is left.
class Table {
 public:
  Table(const toml::table& table, std::string where) : table_(table), where_(std::move(where)) {}

  template <class T>
  std::optional<T> get(std::string_view key) {
    const toml::node* node = take(key);
    if (node == nullptr) return std::nullopt;
    const auto value = node->value_exact<T>();
    if (!value) fail(std::string(key) + " is of another type");
    return *value;
  }

  template <class T>
  T need(std::string_view key) {
    auto value = get<T>(key);
    if (!value) fail(std::string(key) + " is missing");
    return *std::move(value);
  }

  /// nullptr if it is not there.
  const toml::node* take(std::string_view key) {
    const auto member = table_.find(key);
    if (member == table_.end()) return nullptr;
    known_.emplace_back(key);
    return &member->second;
  }

  void refuse_rest() const {
    for (const auto& [key, value] : table_) {
      if (std::ranges::find(known_, key.str()) == known_.end()) {
        fail("unknown: " + std::string(key.str()));
      }
    }
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw UsageFailure(where_ + ": " + what);
  }

 private:
  const toml::table& table_;
  const std::string where_;
  std::vector<std::string> known_;
};

std::vector<Contender> servers_of(const toml::node* node, std::optional<int> cpu, Table& top) {
  std::vector<Contender> servers;
  const toml::array* tables = node == nullptr ? nullptr : node->as_array();
  if (tables == nullptr) top.fail("there is no [[server]]");
  for (const toml::node& one : *tables) {
    if (!one.is_table()) top.fail("server is no table");
    Table table(*one.as_table(), "server " + std::to_string(servers.size() + 1));
    Contender server;
    server.name = table.need<std::string>("name");
    server.server = server_of(table.need<std::string>("command"));
    if (!server.server.command.empty()) server.server.server_cpu = cpu;
    server.options = table.get<std::string>("options").value_or("");
    table.refuse_rest();
    servers.push_back(std::move(server));
  }
  return servers;
}

/// Those that a case names, or all.
std::vector<Contender> chosen_of(const toml::node* node, const std::vector<Contender>& servers,
                                 const Table& table) {
  if (node == nullptr) return servers;
  const toml::array* names = node->as_array();
  if (names == nullptr || names->empty()) table.fail("servers is no list of names");
  std::vector<Contender> chosen;
  for (const toml::node& name : *names) {
    const auto found = std::ranges::find(servers, name.value_or<std::string>(""), &Contender::name);
    if (found == servers.end()) {
      table.fail("there is no server " + name.value_or<std::string>("of that type"));
    }
    chosen.push_back(*found);
  }
  return chosen;
}

/// What the table under `key` says of each name.
std::vector<std::pair<std::string, double>> numbers_of(Table& table, const std::string& key) {
  std::vector<std::pair<std::string, double>> numbers;
  const toml::node* node = table.take(key);
  if (node == nullptr) return numbers;
  const toml::table* members = node->as_table();
  if (members == nullptr) table.fail(key + " is no table");
  for (const auto& [name, value] : *members) {
    const auto number = value.value<double>();
    if (!number) table.fail(key + " of " + std::string(name.str()) + " is no number");
    numbers.emplace_back(name.str(), *number);
  }
  return numbers;
}

std::vector<Bound> bounds_of(const Comparison& comparison, Table& table) {
  std::vector<Bound> bounds;
  for (auto& [server, at_most] : numbers_of(table, "at_most")) {
    if (std::ranges::find(comparison.contenders, server, &Contender::name) ==
        comparison.contenders.end()) {
      table.fail("at_most: there is no server " + server);
    }
    bounds.push_back({server, cost_figure(comparison.spec.what), at_most});
  }
  for (auto& [figure, at_most] : numbers_of(table, "figures_at_most")) {
    bounds.push_back({"", figure, at_most});
  }
  return bounds;
}

std::size_t slices_of(Table& table, std::size_t otherwise) {
  const auto slices =
      table.get<std::int64_t>("slices").value_or(static_cast<std::int64_t>(otherwise));
  if (slices < 1) table.fail("slices is less than 1");
  return static_cast<std::size_t>(slices);
}

Comparison comparison_of(const toml::table& members, const std::vector<Contender>& servers,
                         std::size_t slices) {
  Table table(members, "case " + std::string(members["name"].value_or("without a name")));
  Comparison comparison;
  const auto name = table.need<std::string>("name");
  const auto run = table.need<std::string>("run");
  comparison.spec = parse_case(split_words(run));
  comparison.spec.name = name;
  comparison.contenders = chosen_of(table.take("servers"), servers, table);
  for (Contender& contender : comparison.contenders) {
    if (contender.options.empty()) continue;
    contender.what = parse_case(split_words(run + " " + contender.options)).what;
  }
  comparison.bounds = bounds_of(comparison, table);
  comparison.slices = slices_of(table, is_divisible(comparison.spec.what) ? slices : 1);
  if (comparison.slices > 1 && !is_divisible(comparison.spec.what)) {
    table.fail("slices: such a run cannot be divided");
  }
  table.refuse_rest();
  return comparison;
}

}  // namespace

Suite read_suite(const std::string& file) {
  toml::table members;
  try {
    members = toml::parse_file(file);
  } catch (const toml::parse_error& error) {
    throw UsageFailure(file + ", line " + std::to_string(error.source().begin.line) + ": " +
                       std::string(error.description()));
  }
  Table top(members, file);
  Suite suite;
  const auto runs = top.get<std::int64_t>("runs").value_or(5);
  if (runs < 1) top.fail("runs is less than 1");
  suite.runs = static_cast<std::size_t>(runs);
  const auto cpu = [&](std::string_view key) {
    const auto number = top.get<std::int64_t>(key);
    return number ? std::optional(static_cast<int>(*number)) : std::nullopt;
  };
  suite.client_cpu = cpu("client_cpu");
  const auto server_cpu = cpu("server_cpu");
  const std::size_t slices = slices_of(top, 1);
  const auto servers = servers_of(top.take("server"), server_cpu, top);
  const toml::node* cases = top.take("case");
  if (cases == nullptr || !cases->is_array()) top.fail("there is no [[case]]");
  for (const toml::node& one : *cases->as_array()) {
    if (!one.is_table()) top.fail("case is no table");
    suite.comparisons.push_back(comparison_of(*one.as_table(), servers, slices));
  }
  top.refuse_rest();
  return suite;
}

}  // namespace wsbench
