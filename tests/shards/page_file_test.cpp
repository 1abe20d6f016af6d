#include "shards/page_file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shards/message.hpp"
#include "shards/outbox.hpp"
#include "shards/socket.hpp"

using webshocket::Payload;
using webshocket::shards::FilePart;
using webshocket::shards::Form;
using webshocket::shards::Message;
using webshocket::shards::Outbox;
using webshocket::shards::PageFile;
using webshocket::shards::Range;
using webshocket::shards::Runs;
using webshocket::shards::Socket;

namespace {

constexpr std::size_t kLarge = 64 * 1024;

/// A large message, by as many recipients as make it worth placing.
struct Shared {
  Shared(Runs& runs, char filler, std::size_t size = kLarge, std::size_t recipients = 32)
      : range(runs.refer(message_of(std::string(size, filler)), Form::raw)) {
    references.assign(recipients, range);
  }
  static std::shared_ptr<const Message> message_of(const std::string& text) {
    return Message::freeze(webshocket::PacketSource::custom, std::nullopt, {Payload(text), nullptr},
                           Form::raw, {});
  }
  std::string text() const {
    return {reinterpret_cast<const char*>(range.run->data()) + range.begin, range.size()};
  }

  Range range;
  std::vector<Range> references;
};

/// Both ends of a connection.
struct Pair {
  Pair() {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) == 0);
    ours = Socket(fds[0]);
    theirs = Socket(fds[1]);
  }
  /// What has arrived.
  std::string read() const {
    std::string text;
    std::array<std::byte, 4096> bytes;
    for (ssize_t count = 0; (count = theirs.receive(bytes)) > 0;) {
      text.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(count));
    }
    return text;
  }

  Socket ours;
  Socket theirs;
};

}  // namespace

TEST_CASE("what many are sent is placed once, and sent from there") {
  Runs runs;
  PageFile file;
  const Shared shared(runs, 'a');
  const auto offset = file.place(*shared.range.run, shared.range.end);
  REQUIRE(offset);
  CHECK(file.place(*shared.range.run, shared.range.end) == offset);

  const Pair pair;
  const ssize_t sent = file.send(pair.ours.fd(), {*offset, shared.range.size()});
  REQUIRE(sent > 0);
  CHECK(pair.read() == shared.text().substr(0, static_cast<std::size_t>(sent)));
}

TEST_CASE("a part of it is sent as such") {
  Runs runs;
  PageFile file;
  const Shared first(runs, 'a');
  const Shared second(runs, 'b');
  REQUIRE(file.place(*first.range.run, first.range.end));
  const auto offset = file.place(*second.range.run, second.range.end);
  REQUIRE(offset);
  const Pair pair;
  CHECK(file.send(pair.ours.fd(), {*offset - 5, 20}) == 20);
  CHECK(pair.read() == std::string(5, 'a') + second.text().substr(0, 15));
}

TEST_CASE("what few are sent, and what is small, is not worth it") {
  Runs runs;
  PageFile file;
  const Shared few(runs, 'a', kLarge, PageFile::kWorthReferences - 2);
  CHECK_FALSE(file.place(*few.range.run, few.range.end));
  const Shared small(runs, 'a', PageFile::kWorthPlacing / 2);
  CHECK_FALSE(file.place(*small.range.run, small.range.end));
}

TEST_CASE("what is left from an earlier turn is not worth it, since few will take it at once") {
  Runs runs;
  PageFile file;
  const Shared shared(runs, 'a');
  REQUIRE(file.place(*shared.range.run, shared.range.end));
  runs.end_turn();
  file.clear();
  CHECK_FALSE(file.place(*shared.range.run, shared.range.end));
}

TEST_CASE("a run that has grown is placed anew, whole") {
  Runs runs;
  PageFile file;
  const auto message = Shared::message_of(std::string(5'000, 'm'));
  const Range first = runs.add(1, message, Form::raw);
  const std::vector<Range> references(PageFile::kWorthReferences, first);
  REQUIRE(file.place(*first.run, first.end));
  const Range second = runs.add(1, message, Form::raw);
  const auto offset = file.place(*first.run, second.end);
  REQUIRE(offset);
  const Pair pair;
  CHECK(file.send(pair.ours.fd(), {*offset, second.end}) == static_cast<ssize_t>(second.end));
  const auto* const bytes = reinterpret_cast<const char*>(first.run->data());
  CHECK(pair.read() == std::string(bytes, second.end));
}

TEST_CASE("what is on its way stays as it was sent, whatever becomes of the file") {
  Runs runs;
  const Pair pair;
  std::string expected;
  {
    PageFile file;
    for (const char filler : {'a', 'b', 'c'}) {
      const Shared shared(runs, filler, 20'000);
      const auto offset = file.place(*shared.range.run, shared.range.end);
      REQUIRE(offset);
      CHECK(*offset == 0);
      REQUIRE(file.send(pair.ours.fd(), {*offset, shared.range.size()}) ==
              static_cast<ssize_t>(shared.range.size()));
      expected += shared.text();
      runs.end_turn();
      file.clear();
    }
  }
  CHECK(pair.read() == expected);
}

TEST_CASE("there is a bound to what is placed in one turn") {
  Runs runs;
  PageFile file;
  const Shared most(runs, 'a', PageFile::kMostPlaced - kLarge);
  const Shared fits_no_more(runs, 'b', 2 * kLarge);
  CHECK(file.place(*most.range.run, most.range.end));
  CHECK_FALSE(file.place(*fits_no_more.range.run, fits_no_more.range.end));
  file.clear();
  CHECK(file.place(*fits_no_more.range.run, fits_no_more.range.end));
}

TEST_CASE("where files may not be large, nothing is placed") {
  Runs runs;
  PageFile file;
  const Shared shared(runs, 'a');
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGXFSZ);
  REQUIRE(::pthread_sigmask(SIG_BLOCK, &blocked, &before) == 0);
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const rlimit small{.rlim_cur = 1000, .rlim_max = limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto offset = file.place(*shared.range.run, shared.range.end);
  CHECK(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  CHECK_FALSE(offset);

  const timespec now{};
  CHECK(::sigtimedwait(&blocked, nullptr, &now) == SIGXFSZ);
  CHECK(::pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
}

TEST_CASE("a lack of descriptors passes") {
  Runs runs;
  PageFile file;
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = limit.rlim_max};
  const auto place = [&] {
    const Shared shared(runs, 'a');
    const bool is_placed = file.place(*shared.range.run, shared.range.end).has_value();
    runs.end_turn();
    file.clear();
    return is_placed;
  };
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const bool is_placed = place();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK_FALSE(is_placed);
  CHECK_FALSE(place());  // not in each turn anew
  for (int turn = 0; turn < PageFile::kRest; ++turn) file.clear();
  CHECK(place());
}

TEST_CASE("an empty part is no reason to give up, what cannot be sent files is") {
  Runs runs;
  PageFile file;
  const Shared shared(runs, 'a');
  REQUIRE(file.place(*shared.range.run, shared.range.end));
  CHECK(file.send(-1, {}) == -EINVAL);
  CHECK(file.place(*shared.range.run, shared.range.end));

  const Socket append_only(::open("/dev/null", O_WRONLY | O_APPEND | O_CLOEXEC));
  REQUIRE(append_only.is_open());
  CHECK(file.send(append_only.fd(), {0, 1}) == -EINVAL);
  CHECK_FALSE(file.place(*shared.range.run, shared.range.end));
}

TEST_CASE("a socket's own error is told, and nothing else is wrong") {
  Runs runs;
  PageFile file;
  const Shared shared(runs, 'a');
  REQUIRE(file.place(*shared.range.run, shared.range.end));
  CHECK(file.send(-1, {0, 1}) == -EBADF);
  CHECK(file.place(*shared.range.run, shared.range.end));
}

TEST_CASE("the front of an outbox, as far as it lies in the file in one piece") {
  Runs runs;
  PageFile file;
  const Shared first(runs, 'a');
  const Shared second(runs, 'b');
  const Shared small(runs, 'c', 100);

  Outbox outbox;
  CHECK(outbox.front_in(file).size == 0);
  outbox.push(first.range);
  outbox.push(second.range);
  outbox.push(small.range);
  const FilePart front = outbox.front_in(file);
  CHECK(front.size == first.range.size() + second.range.size());

  outbox.consume(10, true);
  CHECK(outbox.front_in(file).offset == front.offset + 10);
  CHECK(outbox.front_in(file).size == front.size - 10);

  Outbox other_order;
  other_order.push(second.range);
  other_order.push(first.range);
  CHECK(other_order.front_in(file).size == second.range.size());

  Outbox behind_a_reply;
  behind_a_reply.write([](webshocket::protocol::Buffer& out) { out.append("reply"); });
  behind_a_reply.push(first.range);
  CHECK(behind_a_reply.front_in(file).size == 0);
}
