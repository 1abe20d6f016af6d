#include "comparison.hpp"

#include <algorithm>
#include <memory>

#include "failure.hpp"

namespace wsbench {
namespace {

using webshocket::Sink;

void write_spread(Sink& sink, const Spread& spread) {
  sink.begin_map(3);
  sink.string("median");
  write_number(sink, spread.median);
  sink.string("lowest");
  write_number(sink, spread.lowest);
  sink.string("highest");
  write_number(sink, spread.highest);
  sink.end_map();
}

void write_spreads(Sink& sink, const std::vector<std::pair<std::string, Spread>>& spreads) {
  sink.begin_map(spreads.size());
  for (const auto& [name, spread] : spreads) {
    sink.string(name);
    write_spread(sink, spread);
  }
  sink.end_map();
}

/// Of the first contender to another one.
std::vector<std::pair<std::string, Spread>> ratios_of(const Comparison& comparison,
                                                      const Contender& other) {
  std::vector<std::pair<std::string, Spread>> ratios;
  const Contender& first = comparison.contenders.front();
  for (const auto& [name, ignored] : figures_of(first)) {
    if (const auto ratio = spread_of(ratios_of(first.runs, other.runs, name))) {
      ratios.emplace_back(name, *ratio);
    }
  }
  return ratios;
}

void write_bounds(Sink& sink, const std::vector<Bound>& bounds, std::string_view to) {
  sink.begin_map(static_cast<std::size_t>(std::ranges::count(bounds, to, &Bound::to)));
  for (const Bound& bound : bounds) {
    if (bound.to != to) continue;
    sink.string(bound.figure);
    write_number(sink, bound.at_most);
  }
  sink.end_map();
}

void write_contender(Sink& sink, const Contender& contender) {
  sink.begin_map(5);
  sink.string("name");
  sink.string(contender.name);
  sink.string("server");
  sink.string(contender.server.name() +
              (contender.options.empty() ? "" : ", " + contender.options));
  sink.string("figures");
  write_spreads(sink, figures_of(contender));
  Histogram latency;
  sink.string("runs");
  sink.begin_array(contender.runs.size());
  for (const Result& run : contender.runs) {
    webshocket_write(sink, run);
    latency.merge(run.latency_ns);
  }
  sink.end_array();
  sink.string("latency_histogram_ns");
  webshocket_write(sink, latency);
  sink.end_map();
}

std::string padded(std::string_view text, std::size_t width, bool right) {
  const std::string blanks(text.size() < width ? width - text.size() : 0, ' ');
  return right ? blanks + std::string(text) : std::string(text) + blanks;
}

/// A, B, … and next time the other way round.
template <class Use>
void for_each_in_order(std::vector<Contender>& contenders, std::size_t round, Use&& use) {
  const std::size_t count = contenders.size();
  for (std::size_t turn = 0; turn < count; ++turn) use(round % 2 == 0 ? turn : count - 1 - turn);
}

/// Says of whom it is that progress and failures tell.
template <class Use>
void tell_who(const Comparison& comparison, const Contender& contender, const std::string& run,
              Progress& progress, Use&& use) {
  const bool alone = run.empty() && comparison.contenders.size() == 1;
  const std::string what = alone
                               ? ""
                               : (comparison.spec.name.empty() ? "" : comparison.spec.name + ", ") +
                                     contender.name + (run.empty() ? "" : ", " + run) + ": ";
  progress.set_prefix(what);
  try {
    use();
  } catch (const Failure& failure) {
    if (alone) throw;
    throw Failure(what + failure.what());
  }
}

const Case& case_of(const Comparison& comparison, const Contender& contender) noexcept {
  return contender.what ? *contender.what : comparison.spec.what;
}

void run_in_turn(Comparison& comparison, std::size_t round, const std::string& run,
                 Progress& progress) {
  for_each_in_order(comparison.contenders, round, [&](std::size_t i) {
    Contender& contender = comparison.contenders[i];
    tell_who(comparison, contender, run, progress, [&] {
      contender.runs.push_back(
          run_case(case_of(comparison, contender), contender.server, progress));
    });
  });
}

void run_side_by_side(Comparison& comparison, std::size_t round, const std::string& run,
                      Progress& progress) {
  struct Started {
    Started(const Case& what, const ServerSpec& spec, Progress& progress)
        : server(spec), measurement(make_measurement(what, server, progress)) {}
    ServerProcess server;
    std::unique_ptr<Measurement> measurement;
  };
  std::vector<Contender>& contenders = comparison.contenders;
  std::vector<std::unique_ptr<Started>> started(contenders.size());
  const auto for_each = [&](auto&& use) {
    for_each_in_order(contenders, round, [&](std::size_t i) {
      tell_who(comparison, contenders[i], run, progress, [&] { use(contenders[i], started[i]); });
    });
  };
  for_each([&](const Contender& contender, std::unique_ptr<Started>& one) {
    one = std::make_unique<Started>(case_of(comparison, contender), contender.server, progress);
    one->measurement->prepare();
  });
  // Always in the same order: who waits for longer than the others behaves differently. After 200
  // ms of silence TCP acknowledges each segment, at first.
  for (std::size_t slice = 0; slice < comparison.slices; ++slice) {
    for_each([&](const Contender&, std::unique_ptr<Started>& one) {
      one->measurement->run(comparison.slices);
    });
  }
  for_each([&](Contender& contender, std::unique_ptr<Started>& one) {
    contender.runs.push_back(one->measurement->finish());
    one->measurement.reset();
    one->server.stop();
  });
}

}  // namespace

std::vector<std::pair<std::string, Spread>> figures_of(const Contender& contender) {
  std::vector<std::pair<std::string, Spread>> figures;
  if (contender.runs.empty()) return figures;
  for (const Figure& figure : contender.runs.front().figures) {
    if (const auto spread = spread_of(figures_of(contender.runs, figure.name))) {
      figures.emplace_back(figure.name, *spread);
    }
  }
  return figures;
}

std::vector<std::string> Comparison::faults() const {
  std::vector<std::string> faults;
  for (const Contender& contender : contenders) {
    for (std::size_t i = 0; i < contender.runs.size(); ++i) {
      for (const std::string& fault : contender.runs[i].faults) {
        faults.push_back((contenders.size() == 1 && contender.runs.size() == 1)
                             ? fault
                             : contender.name + ", run " + std::to_string(i + 1) + ": " + fault);
      }
    }
  }
  for (const Bound& bound : bounds) {
    if (bound.to.empty()) {
      const auto own = spread_of(wsbench::figures_of(contenders.front().runs, bound.figure));
      if (!own) {
        faults.push_back("there is no " + bound.figure);
      } else if (own->median > bound.at_most) {
        faults.push_back(bound.figure + " is " + text_of(own->median) + ", more than " +
                         text_of(bound.at_most));
      }
      continue;
    }
    const auto other = std::ranges::find(contenders, bound.to, &Contender::name);
    const auto ratio =
        other == contenders.end()
            ? std::nullopt
            : spread_of(wsbench::ratios_of(contenders.front().runs, other->runs, bound.figure));
    if (!ratio) {
      faults.push_back("no ratio of " + bound.figure + " to " + bound.to);
    } else if (ratio->median > bound.at_most) {
      faults.push_back(bound.figure + " is " + text_of(ratio->median) + " of " + bound.to +
                       ", more than " + text_of(bound.at_most));
    }
  }
  return faults;
}

void run_comparison(Comparison& comparison, std::size_t runs, Progress& progress) {
  for (std::size_t i = 0; i < runs; ++i) {
    const std::string run = "run " + std::to_string(i + 1) + " of " + std::to_string(runs);
    if (comparison.slices == 1) {
      run_in_turn(comparison, i, runs == 1 ? "" : run, progress);
    } else {
      run_side_by_side(comparison, i, run, progress);
    }
  }
}

void webshocket_write(Sink& sink, const Comparison& comparison) {
  const auto& contenders = comparison.contenders;
  sink.begin_map(5);
  sink.string("name");
  sink.string(comparison.spec.name);
  sink.string("settings");
  sink.begin_map(comparison.spec.settings.size());
  for (const auto& [key, value] : comparison.spec.settings) {
    sink.string(key);
    sink.string(value);
  }
  sink.end_map();
  sink.string("servers");
  sink.begin_array(contenders.size());
  for (const Contender& contender : contenders) write_contender(sink, contender);
  sink.end_array();
  sink.string("ratios");
  sink.begin_array(contenders.size() - 1);
  for (std::size_t i = 1; i < contenders.size(); ++i) {
    sink.begin_map(4);
    sink.string("of");
    sink.string(contenders.front().name);
    sink.string("to");
    sink.string(contenders[i].name);
    sink.string("figures");
    write_spreads(sink, ratios_of(comparison, contenders[i]));
    sink.string("at_most");
    write_bounds(sink, comparison.bounds, contenders[i].name);
    sink.end_map();
  }
  sink.end_array();
  const auto faults = comparison.faults();
  sink.string("faults");
  sink.begin_array(faults.size());
  for (const std::string& fault : faults) sink.string(fault);
  sink.end_array();
  sink.end_map();
}

std::string text_of(const Comparison& comparison) {
  const auto& contenders = comparison.contenders;
  std::string text = comparison.spec.name.empty() ? "" : comparison.spec.name + "\n";
  for (const auto& [key, value] : comparison.spec.settings) {
    text.append(key).append(" ").append(value).append("  ");
  }
  text += '\n';

  std::vector<std::vector<std::string>> rows{{""}};
  for (const Contender& contender : contenders) rows[0].push_back(contender.name);
  for (std::size_t i = 1; i < contenders.size(); ++i) {
    rows[0].push_back("/ " + contenders[i].name);
    rows[0].push_back("(spread)");
  }
  for (const auto& [name, ignored] : figures_of(contenders.front())) {
    std::vector<std::string> row{name};
    for (const Contender& contender : contenders) {
      const auto spread = spread_of(figures_of(contender.runs, name));
      row.push_back(spread ? text_of(spread->median) : "");
    }
    for (std::size_t i = 1; i < contenders.size(); ++i) {
      const auto ratio =
          spread_of(wsbench::ratios_of(contenders.front().runs, contenders[i].runs, name));
      row.push_back(ratio ? text_of(ratio->median) : "");
      row.push_back(ratio ? "(" + text_of(ratio->lowest) + " to " + text_of(ratio->highest) + ")"
                          : "");
    }
    rows.push_back(std::move(row));
  }
  std::vector<std::size_t> widths(rows[0].size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    if (contenders.size() == 1 && &row == &rows[0]) continue;
    std::string line = "  " + padded(row[0], widths[0], false);
    for (std::size_t i = 1; i < row.size(); ++i) line += "  " + padded(row[i], widths[i], true);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  }
  for (const std::string& fault : comparison.faults()) text += "  WRONG: " + fault + '\n';
  return text;
}

}  // namespace wsbench
