// webshocketd: a chat server, its page, and nothing to install.

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <webshocket/webshocket.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "chat.hpp"
#include "options.hpp"
#include "pages.hpp"

namespace webshocketd {
namespace {

namespace ws = webshocket;

spdlog::level::level_enum level_of(ws::LogLevel level) {
  switch (level) {
    case ws::LogLevel::debug:
      return spdlog::level::debug;
    case ws::LogLevel::info:
      return spdlog::level::info;
    case ws::LogLevel::warning:
      return spdlog::level::warn;
    case ws::LogLevel::error:
      break;
  }
  return spdlog::level::err;
}

// Standard output is for the one line that a person, or a script, waits for.
void set_up_log(const std::string& level) {
  auto logger = std::make_shared<spdlog::logger>(
      "webshocketd", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_pattern("%H:%M:%S %^%l%$ %v");
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

void serve_embedded_pages(ws::Server& server) {
  for (const Page& page : embedded_pages()) {
    const auto answer = [page](const ws::HttpRequest&) {
      ws::HttpResponse response;
      response.body = page.body;
      response.content_type = content_type_of(page.name);
      response.headers = {{"Cache-Control", "no-cache"}, {"X-Content-Type-Options", "nosniff"}};
      return response;
    };
    server.on_http("GET", "/" + std::string(page.name), answer);
    if (page.name == "index.html") server.on_http("GET", "/", answer);
  }
}

/// As one types it into a browser, which cannot go to "all addresses".
std::string url_of(std::string host, std::uint16_t port, bool is_secure) {
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return (is_secure ? "https://" : "http://") + host + ":" + std::to_string(port) + "/";
}

/// A log that cannot be written, on a full disk or into a pipe that nobody reads, must not end the
/// server; and no connection must get the number of a standard stream that was closed, or it would
/// get what is said there.
void keep_standard_streams() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) static_cast<void>(::open("/dev/null", O_RDWR));
  }
}

/// What systemd has bound for us, each with what the options say of host and port.
std::vector<ws::Listener> passed_listeners(const ws::Config& config) {
  std::vector<ws::Listener> listeners;
  for (const ws::PassedSocket& passed : ws::systemd_sockets()) {
    ws::Listener listener;
    listener.fd = passed.fd;
    listener.paths = config.paths;
    listener.tls = config.tls;
    listener.proxy_protocol = config.proxy_protocol;
    listeners.push_back(std::move(listener));
  }
  return listeners;
}

int serve(const Options& options) {
  std::atomic<bool> rooms_changed = false;

  ws::Config config;
  config.host = options.host;
  config.port = options.port;
  config.shards = options.shards;
  config.cpus = options.cpus;
  config.paths = {"/chat"};
  const bool is_secure = !options.cert.empty();
  if (is_secure) config.tls.certificates = {{options.cert, options.key}};
  config.tls.client_ca_file = options.client_ca;
  config.reload_tls_on_hangup = is_secure;
  config.allowed_origins = options.allowed_origins;
  config.allowed_hosts = options.allowed_hosts;
  config.trusted_proxies = options.trusted_proxies;
  config.forwarded_header = options.forwarded_header;
  config.proxy_protocol = options.proxy_protocol;
  config.listeners = passed_listeners(config);
  config.log = [](ws::LogLevel level, std::string_view text) {
    spdlog::log(level_of(level), text);
  };

  ws::Server server(std::move(config), ws::per_shard<Chat>(std::ref(rooms_changed)));
  if (options.web.empty()) {
    serve_embedded_pages(server);
  } else {
    server.serve_files("/", options.web);
  }

  try {
    server.start();
  } catch (const ws::WebSocketError& error) {
    std::cerr << "webshocketd: cannot listen on port " << options.port << " of " << options.host
              << ": " << error.what() << "\nChoose another port with --port, or any free one with"
              << " --port 0.\n";
    return EXIT_FAILURE;
  }
  server.serve_forever([&] {
    std::cout << "webshocketd: open " << url_of(options.host, server.port(), is_secure)
              << " in two tabs" << std::endl;
  });
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace webshocketd

int main(int argc, char** argv) {
  webshocketd::keep_standard_streams();
  const auto parsed = webshocketd::parse_options(argc, argv);
  if (const int* status = std::get_if<int>(&parsed)) return *status;
  const auto& options = std::get<webshocketd::Options>(parsed);
  try {
    webshocketd::set_up_log(options.log_level);
    return webshocketd::serve(options);
  } catch (const std::exception& error) {
    std::cerr << "webshocketd: " << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
