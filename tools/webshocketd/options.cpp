#include "options.hpp"

#include <toml++/toml.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace webshocketd {
namespace {

constexpr int kWrongUsage = 2;
constexpr std::array<std::string_view, 14> kNames{"host",
                                                  "port",
                                                  "shards",
                                                  "cpus",
                                                  "web",
                                                  "cert",
                                                  "key",
                                                  "client-ca",
                                                  "log-level",
                                                  "allowed-origins",
                                                  "allowed-hosts",
                                                  "trusted-proxies",
                                                  "forwarded-header",
                                                  "proxy-protocol"};
constexpr std::array<std::string_view, 4> kPaths{"web", "cert", "key", "client-ca"};

std::string value_of(std::string_view name, const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  const auto* list = node.as_array();
  if (list != nullptr && (list->empty() || list->is_homogeneous<std::string>() ||
                          list->is_homogeneous<std::int64_t>())) {
    std::string joined;
    for (const auto& item : *list) joined += (joined.empty() ? "" : ",") + value_of(name, item);
    return joined;
  }
  throw std::runtime_error("\"" + std::string(name) +
                           "\" is no text, whole number, true or false, or list of them");
}

// A file's values go through the same door as the command line's, so that both are checked alike
// and complained about in the same words.
std::vector<std::string> arguments_from(const std::string& path) {
  const toml::table table = toml::parse_file(path);
  std::vector<std::string> arguments;
  for (const auto& [key, node] : table) {
    const std::string_view name = key.str();
    if (std::ranges::find(kNames, name) == kNames.end()) {
      throw std::runtime_error("unknown name \"" + std::string(name) + "\"");
    }
    std::string value = value_of(name, node);
    if (node.is_array() && value.empty()) continue;
    if (std::ranges::find(kPaths, name) != kPaths.end()) {
      value = std::filesystem::path(path).parent_path() / value;
    }
    arguments.push_back("--" + std::string(name) + "=" + value);
  }
  return arguments;
}

}  // namespace

std::variant<Options, int> parse_options(int argc, const char* const* argv) {
  Options options;
  std::string config;

  CLI::App app("A chat over webshocket, and the page to chat with.", "webshocketd");
  app.add_option("--host", options.host, "The address to listen on")->capture_default_str();
  app.add_option("--port", options.port, "The port to listen on; 0 takes any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--shards", options.shards, "Threads that serve connections; 0 is one per core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--cpus", options.cpus,
                 "Processors that they run on, such as 0,1; else wherever the system likes")
      ->delimiter(',');
  app.add_option("--web", options.web,
                 "Serve the pages from this folder instead of those inside the program")
      ->check(CLI::ExistingDirectory);
  auto* cert = app.add_option("--cert", options.cert,
                              "Speak TLS, with the certificate in this PEM file and its chain; read"
                              " again on SIGHUP")
                   ->check(CLI::ExistingFile);
  app.add_option("--key", options.key, "The certificate's key, if it is not in the same file")
      ->needs(cert)
      ->check(CLI::ExistingFile);
  app.add_option("--client-ca", options.client_ca,
                 "Let in only whom an authority in this PEM file has given a certificate")
      ->needs(cert)
      ->check(CLI::ExistingFile);
  app.add_option("--log-level", options.log_level, "What to tell on standard error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}))
      ->capture_default_str();
  app.add_option("--allowed-origins", options.allowed_origins,
                 "Web pages that may connect, such as https://*.example.com; else only our own")
      ->delimiter(',');
  app.add_option("--allowed-hosts", options.allowed_hosts,
                 "Names by which browsers may call this server; else any")
      ->delimiter(',');
  app.add_option("--trusted-proxies", options.trusted_proxies,
                 "Addresses, or blocks such as 10.0.0.0/8, that are believed whom they speak for")
      ->delimiter(',');
  app.add_option("--forwarded-header", options.forwarded_header,
                 "The header by which they say it; Forwarded is RFC 7239")
      ->capture_default_str();
  app.add_flag("--proxy-protocol", options.proxy_protocol,
               "Every connection begins with a PROXY header");
  auto* config_option =
      app.add_option("--config", config,
                     "A TOML file with the same names; what is said here counts more than the file")
          ->check(CLI::ExistingFile);

  std::string source = "webshocketd: ";
  try {
    app.parse(argc, argv);
    if (config_option->count() == 0) return options;

    std::vector<std::string> given;
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& value : option->results()) {
        given.push_back(option->get_name() + "=" + value);
      }
    }
    source += config + ": ";
    std::vector<std::string> from_file = arguments_from(config);
    std::erase_if(from_file, [&](const std::string& argument) {
      return app.count(argument.substr(0, argument.find('='))) > 0;
    });
    given.insert(given.end(), from_file.begin(), from_file.end());
    std::ranges::reverse(given);  // CLI11 takes a vector from its end
    app.parse(given);
    return options;
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return 0;
  } catch (const toml::parse_error& error) {
    std::cerr << "webshocketd: " << error << '\n';
  } catch (const std::exception& error) {
    std::cerr << source << error.what() << '\n';
  }
  std::cerr << "Try webshocketd --help.\n";
  return kWrongUsage;
}

}  // namespace webshocketd
