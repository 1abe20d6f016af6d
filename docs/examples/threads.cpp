// Who may call what on which thread. Tried on a shard without sockets.

#include <webshocket/testing.hpp>
#include <webshocket/webshocket.hpp>

#include <atomic>
#include <functional>
#include <iostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ws = webshocket;

namespace {

int failures = 0;
void expect(bool holds, const char* what) {
  if (!holds) ++failures, std::cerr << "not so: " << what << '\n';
}

// --- what all shards share ----------------------------------------------------------------------

class Tickets {  // thread-safe by its own contract, because it is shared
 public:
  int next() { return ++last_; }

 private:
  std::atomic<int> last_ = 0;
};

class Office : public ws::Handler {
 public:
  explicit Office(Tickets& tickets) : tickets_(tickets) { rpc("draw", &Office::draw); }

 private:
  int draw(ws::Connection&) {
    ++drawn_here_;           // this shard's own: no lock
    return tickets_.next();  // everybody's
  }

  Tickets& tickets_;
  int drawn_here_ = 0;
};

// --- answering later, from elsewhere ------------------------------------------------------------

class Jobs : public ws::Handler {
 public:
  explicit Jobs(std::vector<std::jthread>& workers) : workers_(workers) {
    rpc("start", &Jobs::start);
  }

  int finished = 0;

 private:
  void start(ws::Connection& conn) {
    workers_.emplace_back([peer = conn.peer()] {  // a name: copy it, keep it, use it anywhere
      peer.send("done");                          // dropped if the client has left meanwhile
    });
  }

  std::vector<std::jthread>& workers_;
};

void try_sharing() {
  Tickets tickets;
  ws::FakeShard<Office> shard(std::ref(tickets));
  auto& ann = shard.connect();
  shard.call(ann, "draw");
  expect(shard.call(ann, "draw").as<int>() == 2, "the second ticket");
}

void try_peers() {
  std::vector<std::jthread> workers;
  ws::FakeShard<Jobs> shard(std::ref(workers));
  auto& ann = shard.connect();
  shard.call(ann, "start");
  workers.clear();  // joins
  shard.settle();
  expect(ann.sent().size() == 1, "the worker's answer");

  shard.run_beside([peer = ann.peer(), &ann] {
    try {
      ann.send("wrong thread");
      expect(false, "a Connection is its shard's");
    } catch (const ws::WrongThreadError&) {
    }
    peer.post([](ws::Connection& conn) { conn["seen"] = true; });  // runs on the shard
  });
  shard.settle();
  expect(ann.find("seen") != nullptr, "posted work");
}

}  // namespace

int main() {
  try_sharing();
  try_peers();
  std::cout << (failures == 0 ? "all as said\n" : "some of it is not so\n");
  return failures == 0 ? 0 : 1;
}
