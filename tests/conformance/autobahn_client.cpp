// The client's side of the Autobahn testsuite: asks a fuzzing server for its cases, one connection
// each, echoes whatever comes, and has the report written. See CONTRIBUTING.md.

#include <webshocket/client.hpp>

#include <exception>
#include <functional>
#include <future>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

namespace ws = webshocket;

namespace {

struct Options {
  std::string uri;
  std::string agent;
};

/// One connection to the suite, from its start to its end.
class Visit {
 public:
  using Receive = std::function<void(ws::Client&, const ws::Packet&)>;

  Visit(const std::string& uri, const ws::ClientLoop& loop, Receive receive)
      : client_(uri, config_of(std::move(receive)), loop) {}

  /// Returns when the server has ended the connection, or broken the rules.
  void run() {
    client_.connect();
    ended_.get_future().wait();
  }

 private:
  ws::ClientConfig config_of(Receive receive) {
    ws::ClientConfig config;
    config.format = ws::Format::raw;
    config.on_receive = std::move(receive);
    config.on_disconnect = [this](ws::Client&, ws::CloseCode, std::string_view) {
      ended_.set_value();
    };
    config.outbox_limit = 0;
    // Where a case is about something else, the suite does not take the offer.
    config.compression = {.enabled = true, .threshold = 0, .context = true, .peer_context = true};
    return config;
  }

  std::promise<void> ended_;
  ws::Client client_;
};

void echo(ws::Client& client, const ws::Packet& packet) { client.send(packet.data); }

void run(const Options& options) {
  const ws::ClientLoop loop;
  unsigned long count = 0;
  Visit(options.uri + "/getCaseCount", loop, [&](ws::Client&, const ws::Packet& packet) {
    count = std::stoul(packet.data.as<std::string>());
  }).run();
  const std::string agent = "agent=" + options.agent;
  for (unsigned long number = 1; number <= count; ++number) {
    std::cout << "case " << number << " of " << count << std::endl;
    Visit(options.uri + "/runCase?case=" + std::to_string(number) + "&" + agent, loop, &echo).run();
  }
  Visit(options.uri + "/updateReports?" + agent, loop, {}).run();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::cerr << "usage: autobahn_client ws://HOST:PORT [AGENT]\n";
    return 2;
  }
  try {
    run({.uri = argv[1], .agent = argc == 3 ? argv[2] : "webshocket"});
  } catch (const std::exception& error) {
    std::cerr << "autobahn_client: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
