// A server with TLS of its own, for clients that prove who they are. It makes certificates for the
// moment that it runs, with the openssl program.

#include <webshocket/client.hpp>
#include <webshocket/webshocket.hpp>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

namespace ws = webshocket;

class Members : public ws::Handler {
 public:
  Members() {
    rpc("whoami", [](ws::Connection& conn) { return *conn.find("user"); });
  }

  ws::Upgrade on_upgrade(const ws::UpgradeRequest& request) override {
    const auto& certificate = request.client_certificate;
    if (!certificate) return ws::Upgrade::reject(401);  // it is optional in this server
    return ws::Upgrade::accept().session("user", certificate->common_name);
  }
};

/// A certificate and its key; signed by itself, or by `authority`.
ws::TlsCertificate make_certificate(const std::filesystem::path& folder, const std::string& name,
                                    const std::string& authority = {}) {
  const std::string file = (folder / name).string();
  std::string command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes" +
                        (" -subj /CN=" + name) + " -addext subjectAltName=DNS:localhost" +
                        (" -keyout " + file + ".key -out " + file + ".pem");
  if (!authority.empty()) {
    const std::string by = (folder / authority).string();
    command = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes" +
              (" -subj /CN=" + name + " -keyout " + file + ".key") + " 2>/dev/null | " +
              ("openssl x509 -req -CA " + by + ".pem -CAkey " + by + ".key -CAcreateserial") +
              (" -out " + file + ".pem");
  }
  if (std::system((command + " 2>/dev/null").c_str()) != 0) std::exit(EXIT_FAILURE);
  return {file + ".pem", file + ".key"};
}

int main() {
  const auto folder = std::filesystem::temp_directory_path() / "webshocket-tls-example";
  std::filesystem::create_directories(folder);
  const ws::TlsCertificate server_files = make_certificate(folder, "server");
  const ws::TlsCertificate authority = make_certificate(folder, "authority");
  const ws::TlsCertificate ann = make_certificate(folder, "ann", "authority");

  ws::Config config;
  config.tls.certificates = {server_files};  // more of them: chosen by the name asked for
  config.tls.client_ca_file = authority.certificate_file;
  config.tls.client_certificate_optional = true;

  ws::Server server(config, ws::per_shard<Members>());
  server.start();

  ws::ClientConfig client_config;
  client_config.tls.ca_file = server_files.certificate_file;  // it has signed itself
  client_config.tls.certificate_file = ann.certificate_file;
  client_config.tls.key_file = ann.key_file;
  ws::Client client("wss://localhost:" + std::to_string(server.port()), client_config);
  client.connect();
  std::cout << client.call<std::string>("whoami") << '\n';

  try {
    server.reload_tls();  // the files have been renewed; nobody is disconnected
  } catch (const ws::UsageError& error) {
    std::cerr << error.what() << '\n';  // which file, and why; the old ones stay in use
  }
  return client.call<std::string>("whoami") == "ann" ? EXIT_SUCCESS : EXIT_FAILURE;
}
