#include "options.hpp"

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "commands.hpp"

namespace wsc {
namespace {

namespace ws = webshocket;

constexpr double kLongestTime = 86'400;

constexpr std::string_view kFooter = R"(
Without a command, commands are read: from a terminal line by line with a prompt, from a pipe as
a script, which ends at the first command that fails.

Exit status:
  0  all went well                        4  the connection was lost
  1  the server answered with an error    5  no answer, or not enough packets, in time
  2  wrong usage                        130  Ctrl-C
  3  no connection came about

Examples:
  wsc ws://localhost:5000 call add 1 2
  wsc ws://localhost:5000 call add a=1 b=2
  wsc --count 3 ws://localhost:5000 stream count 1000000
  wsc --reconnect ws://localhost:5000 sub news weather
  wsc --json --count 1 ws://localhost:5000 sub news | jq .data
  wsc --header 'Authorization: Bearer x' --tls-ca ca.pem wss://example.org/chat
  printf 'sub news\npub news {"a": 1}\nwait 1\n' | wsc ws://localhost:5000
)";

std::chrono::milliseconds milliseconds_of(double seconds) {
  return std::chrono::round<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

std::pair<std::string, std::string> header_of(const std::string& line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string::npos || colon == 0) {
    throw std::runtime_error("--header: '" + line + "' is not of the form 'Name: value'");
  }
  const std::size_t value = line.find_first_not_of(" \t", colon + 1);
  return {line.substr(0, colon), value == std::string::npos ? "" : line.substr(value)};
}

ws::Format format_of(std::string_view name) noexcept {
  if (name == "json") return ws::Format::json;
  return name == "raw" ? ws::Format::raw : ws::Format::msgpack;
}

Options::Color color_of(std::string_view name) noexcept {
  if (name == "always") return Options::Color::always;
  return name == "never" ? Options::Color::never : Options::Color::automatic;
}

class Formatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: wsc [OPTIONS] URI [COMMAND WORD...]\n";
  }
};

}  // namespace

std::variant<Options, int> parse_options(int argc, const char* const* argv) {
  Options options;
  ws::ClientConfig& client = options.client;
  std::vector<std::string> headers;
  double timeout = 0;
  double connect_timeout = std::chrono::duration<double>(client.connect_timeout).count();
  std::string format = "msgpack";
  std::string color = "auto";
  bool reconnect = false;
  bool insecure = false;
  bool deflate = false;

  CLI::App app("Calls, streams and listens to a WebSocket server, by hand or in scripts.", "wsc");
  app.formatter(std::make_shared<Formatter>());
  app.footer("\n" + help_on_commands() + std::string(kFooter));
  // What follows the URI belongs to the command, also if it looks like an option: call add -1 2.
  app.prefix_command();
  app.set_version_flag("--version", "wsc " WEBSHOCKET_VERSION);
  app.add_option("URI", options.uri, "ws://HOST:PORT/PATH or wss://...; ws:// may be left out");

  app.add_option("--format", format, "How packets are written; raw: no packets")
      ->check(CLI::IsMember({"msgpack", "json", "raw"}))
      ->capture_default_str();
  app.add_flag("--json-binary", client.json_in_binary,
               "JSON as plain web clients get it: no subprotocol, BINARY frames");
  app.add_option("--subprotocol", client.subprotocols, "To offer with --format raw; repeatable")
      ->type_name("NAME")
      ->allow_extra_args(false);
  app.add_option("--header", headers, "'Name: value' of the upgrade request; repeatable")
      ->type_name("LINE")
      ->allow_extra_args(false);
  app.add_flag("--deflate", deflate, "Offer permessage-deflate");
  app.add_option("--unix", client.unix_path, "Connect to this unix socket")->type_name("PATH");
  app.add_option("--connect-timeout", connect_timeout, "Seconds for one try to connect")
      ->check(CLI::Range(0.001, kLongestTime).description("SECONDS"))
      ->capture_default_str();
  app.add_option("--retry", options.tries, "Tries to connect; 0 never gives up")
      ->capture_default_str();
  app.add_flag("--reconnect", reconnect, "Connect again when the connection is lost");

  app.add_option("--tls-ca", client.tls.ca_file, "PEM file of the authorities to trust")
      ->type_name("FILE");
  auto* certificate =
      app.add_option("--tls-cert", client.tls.certificate_file, "PEM file of our own certificate")
          ->type_name("FILE");
  auto* key =
      app.add_option("--tls-key", client.tls.key_file, "PEM file of its key")->type_name("FILE");
  certificate->needs(key);
  key->needs(certificate);
  app.add_flag("--insecure", insecure, "Do not ask who the server is");

  auto* timeout_option =
      app.add_option("--timeout", timeout,
                     "Seconds for an answer (default 30), and to listen (default: no end)")
          ->check(CLI::Range(0.001, kLongestTime).description("SECONDS"));
  app.add_option("--count", options.count,
                 "stream: so many chunks; else: listen for so many packets at the end");
  app.add_option("--sub-method", options.subscribe_method, "What sub calls")
      ->type_name("METHOD")
      ->capture_default_str();
  app.add_option("--unsub-method", options.unsubscribe_method, "What unsub calls")
      ->type_name("METHOD")
      ->capture_default_str();
  app.add_option("--pub-method", options.publish_method, "What pub calls")
      ->type_name("METHOD")
      ->capture_default_str();

  app.add_flag("--json", options.json, "Print JSON for programs, one object a line");
  app.add_option("--color", color, "auto: on a terminal, unless NO_COLOR is set")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  app.add_flag("--keep-going", options.keep_going, "Go on with a script when a command has failed");
  app.add_flag("--verbose", options.verbose, "Tell what is sent, and what the client does");

  try {
    app.parse(argc, argv);
    options.command = app.remaining();
    if (!options.command.empty() && (options.uri.empty() || options.command[0].starts_with('-'))) {
      throw std::runtime_error("unknown option " + options.command[0]);
    }
    if (options.uri.empty()) throw std::runtime_error("which server? URI is missing");
    if (options.uri.find("://") == std::string::npos) options.uri.insert(0, "ws://");
    client.format = format_of(client.json_in_binary ? "json" : format);
    options.color = color_of(color);
    for (const std::string& line : headers) client.headers.push_back(header_of(line));
    client.connect_timeout = milliseconds_of(connect_timeout);
    if (timeout_option->count() > 0) {
      options.timeout = client.call_timeout = milliseconds_of(timeout);
    }
    if (reconnect) client.reconnect = ws::Retry{.attempts = 0};
    client.tls.verify = !insecure;
    client.compression = {.enabled = deflate, .context = true, .peer_context = true};
    return options;
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return static_cast<int>(Status::fine);
  } catch (const CLI::CallForVersion& version) {
    std::cout << version.what() << '\n';
    return static_cast<int>(Status::fine);
  } catch (const std::exception& error) {
    std::cerr << "wsc: " << error.what() << "\nTry wsc --help.\n";
    return static_cast<int>(Status::usage);
  }
}

}  // namespace wsc
