// wsbench: measures WebSocket servers of any make, and counts exactly what they deliver.

#include <sys/prctl.h>
#include <sys/resource.h>
#include <webshocket/packet.hpp>

#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <variant>
#include <vector>

#include "comparison.hpp"
#include "failure.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "result.hpp"
#include "server_process.hpp"

namespace wsbench {
namespace {

/// Everything, as JSON.
struct Document {
  const Circumstances& circumstances;
  const std::vector<Comparison>& cases;

  friend void webshocket_write(webshocket::Sink& sink, const Document& document) {
    sink.begin_map(Circumstances::kMembers + 1);
    document.circumstances.write_members(sink);
    sink.string("cases");
    sink.begin_array(document.cases.size());
    for (const Comparison& one : document.cases) webshocket_write(sink, one);
    sink.end_array();
    sink.end_map();
  }
};

void write_file(const std::string& file, const std::string& text) {
  std::ofstream out(file);
  if (!(out << text).flush()) throw Failure("cannot write " + file);
}

void prepare_process(const MeasureCommand& command) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  // By default a thread is woken up to 50 µs late, so that others may be woken with it.
  prctl(PR_SET_TIMERSLACK, 1UL);
  if (command.client_cpu) pin_to_cpu(*command.client_cpu);
}

Status run(MeasureCommand command, const std::vector<std::string>& command_line) {
  prepare_process(command);
  const Circumstances circumstances(command_line);
  Status status = Status::fine;
  for (Comparison& comparison : command.comparisons) {
    {
      Progress progress(command.quiet);
      run_comparison(comparison, command.runs, progress);
    }
    if (command.json_file != "-") std::cout << text_of(comparison) << std::flush;
    for (const std::string& fault : comparison.faults()) {
      std::cerr << "wsbench: " << fault << '\n';
      status = Status::wrong;
    }
  }
  if (command.json_file.empty()) return status;
  const std::string json = webshocket::to_json(Document{circumstances, command.comparisons}) + "\n";
  if (command.json_file == "-") {
    std::cout << json;
  } else {
    write_file(command.json_file, json);
  }
  return status;
}

Status run(const ReportCommand& command, const std::vector<std::string>&) {
  write_file(command.page, report_page(command.title, command.files));
  return Status::fine;
}

}  // namespace
}  // namespace wsbench

int main(int argc, char** argv) {
  using wsbench::Status;
  const auto parsed = wsbench::parse_options(argc, argv);
  if (const int* status = std::get_if<int>(&parsed)) return *status;
  const auto& options = std::get<wsbench::Options>(parsed);
  Status status = Status::wrong;
  try {
    status =
        std::visit([&](const auto& command) { return wsbench::run(command, options.command_line); },
                   options.command);
  } catch (const wsbench::UsageFailure& failure) {
    std::cerr << "wsbench: " << failure.what() << "\n";
    status = Status::usage;
  } catch (const std::exception& failure) {
    std::cerr << "wsbench: " << failure.what() << "\n";
  }
  return static_cast<int>(status);
}
