#include "shards/connection_table.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include <webshocket/config.hpp>

#include "shards/shard.hpp"
#include "shards/uid.hpp"

using webshocket::Config;
using webshocket::Uid;
using webshocket::shards::Adoption;
using webshocket::shards::Bus;
using webshocket::shards::ConnectionTable;
using webshocket::shards::mint_uid;
using webshocket::shards::Shard;
using webshocket::shards::Site;
using webshocket::shards::TcpConnection;

namespace {

/// Connections without sockets, on a shard that does not run.
class Connections {
 public:
  Connections() {
    site_.bus = std::make_shared<Bus>(1, 0, webshocket::shards::Framing{.fragment_size = 0});
    shard_ = std::make_unique<Shard>(site_, 0);
  }
  ~Connections() {
    for (TcpConnection* connection : all_) {
      connection->doom();
      connection->bury();  // which frees it
    }
  }
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  TcpConnection& make(const Uid& uid) {
    Adoption adoption;
    adoption.uid = uid;
    all_.push_back(new TcpConnection(*shard_, std::move(adoption)));
    return *all_.back();
  }

 private:
  Site site_{Config{}};
  std::unique_ptr<Shard> shard_;
  std::vector<TcpConnection*> all_;
};

/// One of the few uids that start their search at the same place of a small table.
Uid crowded_uid(std::mt19937& random) {
  Uid uid = mint_uid();
  uid.bytes[0] = static_cast<std::byte>(random() % 3 == 0 ? 0x0F : random() % 2);
  uid.bytes[1] = uid.bytes[2] = std::byte{0};
  return uid;
}

}  // namespace

TEST_CASE("an empty table finds nothing and erases nothing") {
  Connections connections;
  ConnectionTable table;
  TcpConnection& stranger = connections.make(mint_uid());
  CHECK(table.find(stranger.uid()) == nullptr);
  table.erase(stranger);
  CHECK(table.size() == 0);
  table.for_each([](TcpConnection&) { FAIL("there is nobody"); });
}

TEST_CASE("erasing one that is not there leaves the others") {
  Connections connections;
  ConnectionTable table;
  TcpConnection& member = connections.make(mint_uid());
  TcpConnection& stranger = connections.make(mint_uid());
  table.make_room();
  table.insert(member);
  table.erase(stranger);
  CHECK(table.size() == 1);
  table.erase(member);
  table.erase(member);
  CHECK(table.size() == 0);
  CHECK(table.find(member.uid()) == nullptr);
}

TEST_CASE("a table does what a set does, also where all crowd into the same places") {
  for (const bool crowded : {false, true}) {
    CAPTURE(crowded);
    Connections connections;
    ConnectionTable table;
    std::mt19937 random(11);
    std::vector<TcpConnection*> in;
    std::vector<TcpConnection*> out;
    for (int i = 0; i < 1'200; ++i) {
      out.push_back(&connections.make(crowded ? crowded_uid(random) : mint_uid()));
    }
    for (int step = 0; step < 20'000; ++step) {
      // It grows and shrinks in long waves, so that it is resized both ways.
      const bool growing = step / 2'000 % 2 == 0;
      const bool insert = !out.empty() && (in.empty() || (random() % 8 < 5) == growing);
      auto& from = insert ? out : in;
      auto& to = insert ? in : out;
      const std::size_t index = random() % from.size();
      TcpConnection* const chosen = from[index];
      std::swap(from[index], from.back());
      from.pop_back();
      to.push_back(chosen);
      if (insert) {
        table.make_room();
        table.insert(*chosen);
      } else {
        table.erase(*chosen);
      }
      REQUIRE(table.size() == in.size());
      REQUIRE(table.find(chosen->uid()) == (insert ? chosen : nullptr));
      if (step % 500 != 0) continue;
      for (const TcpConnection* member : in) REQUIRE(table.find(member->uid()) == member);
      for (const TcpConnection* stranger : out) REQUIRE(table.find(stranger->uid()) == nullptr);
      std::set<const TcpConnection*> seen;
      table.for_each([&](TcpConnection& connection) { seen.insert(&connection); });
      REQUIRE(seen == std::set<const TcpConnection*>(in.begin(), in.end()));
    }
  }
}
