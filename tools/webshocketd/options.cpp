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
constexpr std::array<std::string_view, 8> kNames{"host", "port", "shards",    "web",
                                                 "cert", "key",  "client-ca", "log-level"};
constexpr std::array<std::string_view, 4> kPaths{"web", "cert", "key", "client-ca"};

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
    std::string value;
    if (const auto* text = node.as_string()) {
      value = text->get();
    } else if (const auto* number = node.as_integer()) {
      value = std::to_string(number->get());
    } else {
      throw std::runtime_error("\"" + std::string(name) + "\" is neither text nor a whole number");
    }
    if (std::ranges::find(kPaths, name) != kPaths.end())
      value = std::filesystem::path(path).parent_path() / value;
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
