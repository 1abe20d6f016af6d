/// One case, measured with one or several servers in turn.
#pragma once

#include <webshocket/payload.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cases.hpp"
#include "progress.hpp"
#include "result.hpp"
#include "server_process.hpp"
#include "statistics.hpp"

namespace wsbench {

/// What is to be measured: the case, and how people wrote it.
struct CaseSpec {
  std::string name;
  Case what;
  std::vector<std::pair<std::string, std::string>> settings;
};

struct Contender {
  std::string name;
  ServerSpec server;
  std::vector<Result> runs{};
  std::string options{};       ///< of the case, for this one only
  std::optional<Case> what{};  ///< the case with them
};

/// What must not be exceeded, in the median of the pairs: a ratio, or a figure.
struct Bound {
  /// A contender's name: the first contender's ratio to that one is bound. Empty: its own figure.
  std::string to;
  std::string figure;  ///< of a result
  double at_most = 0;
};

struct Comparison {
  CaseSpec spec;
  std::vector<Contender> contenders;  ///< the first one is compared to the others
  std::vector<Bound> bounds;
  /// Into so many parts a run is divided, which the contenders take in turn: all of them are
  /// started at once then, and what disturbs for longer than a part meets all of them.
  std::size_t slices = 1;

  /// What went wrong in which run, and which bounds do not hold; for people.
  std::vector<std::string> faults() const;
};

/// Figures of all runs of a contender, in their order.
std::vector<std::pair<std::string, Spread>> figures_of(const Contender& contender);

/// Runs all contenders in turn, so many times each: there and back, so that what drifts meets all
/// alike. A started server is a fresh one each time. Throws `Failure` that tells which run failed.
void run_comparison(Comparison& comparison, std::size_t runs, Progress& progress);

/// For programs.
void webshocket_write(webshocket::Sink& sink, const Comparison& comparison);
/// For people.
std::string text_of(const Comparison& comparison);

}  // namespace wsbench
