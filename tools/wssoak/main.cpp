// wssoak: loads a server for a long time, and proves that nothing is lost, wrong or leaked.

#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <exception>
#include <iostream>
#include <string>
#include <variant>
#include <vector>

#include "options.hpp"
#include "report.hpp"
#include "server.hpp"
#include "soak.hpp"

namespace wssoak {
namespace {

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);

/// The first SIGINT or SIGTERM ends the load, a second one the program.
void heed_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
}

Status run(const SoakOptions& options, const std::vector<std::string>& command_line) {
  heed_interrupts();
  Soak soak(options, interrupted);
  const Findings findings = soak.run();
  write_report(findings, options, command_line);
  if (!options.quiet) std::cout << markdown_of(findings, options) << std::flush;
  for (const std::string& fault : findings.faults) std::cerr << "wssoak: " << fault << '\n';
  return findings.faults.empty() ? Status::fine : Status::wrong;
}

Status run(const ServeOptions& options, const std::vector<std::string>&) {
  serve(options);
  return Status::fine;
}

}  // namespace
}  // namespace wssoak

int main(int argc, char** argv) {
  using wssoak::Status;
  const auto parsed = wssoak::parse_options(argc, argv);
  if (const int* status = std::get_if<int>(&parsed)) return *status;
  const auto& options = std::get<wssoak::Options>(parsed);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  Status status = Status::wrong;
  try {
    status =
        std::visit([&](const auto& command) { return wssoak::run(command, options.command_line); },
                   options.command);
  } catch (const std::exception& failure) {
    std::cerr << "wssoak: " << failure.what() << "\n";
  }
  return static_cast<int>(status);
}
