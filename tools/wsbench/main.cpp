// wsbench: measures WebSocket servers of any make, and counts exactly what they deliver.

#include <sys/prctl.h>
#include <sys/resource.h>
#include <webshocket/packet.hpp>

#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <variant>

#include "cases.hpp"
#include "failure.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "result.hpp"

namespace wsbench {
namespace {

/// A result and what it is of, as JSON.
struct Report {
  const Circumstances& circumstances;
  const std::string& server;
  const Result& result;

  friend void webshocket_write(webshocket::Sink& sink, const Report& report) {
    sink.begin_map(Circumstances::kMembers + 2);
    report.circumstances.write_members(sink);
    sink.string("server");
    sink.string(report.server);
    sink.string("result");
    webshocket_write(sink, report.result);
    sink.end_map();
  }
};

template <class Report>
void write_report(const std::string& file, const Report& report, const std::string& text) {
  if (file != "-") std::cout << text;
  if (file.empty()) return;
  const std::string json = webshocket::to_json(report) + "\n";
  if (file == "-") {
    std::cout << json;
    return;
  }
  std::ofstream out(file);
  if (!(out << json).flush()) throw Failure("cannot write " + file);
}

Status run(const CaseCommand& command, const Options& options) {
  const Circumstances circumstances(options.command_line);
  Result result;
  {
    Progress progress(options.quiet);
    result = run_with_server(command.what, command.server, progress);
  }
  result.settings = command.settings;
  write_report(options.json_file, Report{circumstances, command.server.name(), result},
               text_of(result));
  for (const std::string& fault : result.faults) std::cerr << "wsbench: " << fault << '\n';
  return result.faults.empty() ? Status::fine : Status::wrong;
}

void prepare_process(const Options& options) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  // By default a thread is woken up to 50 µs late, so that others may be woken with it.
  prctl(PR_SET_TIMERSLACK, 1UL);
  if (options.client_cpu) pin_to_cpu(*options.client_cpu);
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
    wsbench::prepare_process(options);
    status = std::visit([&](const auto& command) { return wsbench::run(command, options); },
                        options.command);
  } catch (const wsbench::UsageFailure& failure) {
    std::cerr << "wsbench: " << failure.what() << "\n";
    status = Status::usage;
  } catch (const std::exception& failure) {
    std::cerr << "wsbench: " << failure.what() << "\n";
  }
  return static_cast<int>(status);
}
