/// Signals that end a process because of a file or a pipe.
#pragma once

#include <signal.h>

namespace webshocket::shards {

/// For every thread of ours: a pipe that nobody reads any more, and a limit on files (setrlimit),
/// are errors of the call that meets them. A log that cannot be written must not end the server.
inline void block_file_signals() noexcept {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  sigaddset(&signals, SIGXFSZ);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace webshocket::shards
