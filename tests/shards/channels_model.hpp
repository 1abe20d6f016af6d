/// Channels as one would write them in a minute, to compare with: no index, no cache, no places.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/glob.hpp"
#include "shards/channels.hpp"

namespace webshocket::tests {

struct Client : shards::Subscriber {
  explicit Client(int number) : id(number) {}
  int id;
};

class ChannelsModel {
 public:
  bool subscribe(int client, const std::string& name) {
    auto it = find(name);
    if (it == channels_.end()) {
      channels_.push_back({name, Glob(name), {}});
      it = channels_.end() - 1;
    }
    if (std::find(it->clients.begin(), it->clients.end(), client) != it->clients.end())
      return false;
    it->clients.push_back(client);
    return true;
  }

  bool unsubscribe(int client, const std::string& name) {
    const auto it = find(name);
    if (it == channels_.end() || std::erase(it->clients, client) == 0) return false;
    if (it->clients.empty()) channels_.erase(it);
    return true;
  }

  void remove(int client) {
    for (auto it = channels_.begin(); it != channels_.end();) {
      std::erase(it->clients, client);
      it = it->clients.empty() ? channels_.erase(it) : it + 1;
    }
  }

  bool subscribed(int client, const std::string& name) {
    const auto it = find(name);
    return it != channels_.end() &&
           std::find(it->clients.begin(), it->clients.end(), client) != it->clients.end();
  }

  std::vector<int> recipients(const std::string& name) const {
    std::vector<int> found;
    const auto add = [&](const Channel& channel) {
      for (const int client : channel.clients) {
        if (std::find(found.begin(), found.end(), client) == found.end()) found.push_back(client);
      }
    };
    for (const Channel& channel : channels_) {
      if (!is_pattern(channel.name) && channel.name == name) add(channel);
    }
    for (const Channel& channel : channels_) {
      if (is_pattern(channel.name) && channel.glob.matches(name)) add(channel);
    }
    return found;
  }

  std::set<std::string> names(bool patterns) const {
    std::set<std::string> found;
    for (const Channel& channel : channels_) {
      if (is_pattern(channel.name) == patterns) found.insert(channel.name);
    }
    return found;
  }

  std::set<std::string> names_of(int client) const {
    std::set<std::string> found;
    for (const Channel& channel : channels_) {
      if (std::find(channel.clients.begin(), channel.clients.end(), client) !=
          channel.clients.end()) {
        found.insert(channel.name);
      }
    }
    return found;
  }

 private:
  struct Channel {
    std::string name;
    Glob glob;
    std::vector<int> clients;  // in the order of subscribing
  };
  std::vector<Channel>::iterator find(const std::string& name) {
    return std::find_if(channels_.begin(), channels_.end(),
                        [&](const Channel& channel) { return channel.name == name; });
  }

  std::vector<Channel> channels_;  // in the order of their first subscriber
};

/// Drives both through the same operations; each returns false at the first difference.
class Comparison {
 public:
  Comparison(shards::ChannelsOptions options, int clients) : channels_(options) {
    for (int id = 0; id < clients; ++id) clients_.push_back(std::make_unique<Client>(id));
  }
  ~Comparison() {
    for (const auto& client : clients_) channels_.remove(*client);
  }
  Comparison(const Comparison&) = delete;
  Comparison& operator=(const Comparison&) = delete;

  bool subscribe(int id, const std::string& name) {
    return channels_.subscribe(client(id), name) == model_.subscribe(id, name);
  }
  bool unsubscribe(int id, const std::string& name) {
    return channels_.unsubscribe(client(id), name) == model_.unsubscribe(id, name);
  }
  /// Disconnects, and another one connects in its place.
  bool reconnect(int id) {
    channels_.remove(client(id));
    model_.remove(id);
    const bool empty = client(id).subscription_count() == 0;
    clients_[static_cast<std::size_t>(id)] = std::make_unique<Client>(id);
    return empty;
  }
  bool publish(const std::string& name) {
    std::vector<int> got;
    const bool has_match = channels_.has_match(name);
    channels_.for_each_match(
        name, [&](shards::Subscriber& to) { got.push_back(static_cast<Client&>(to).id); });
    return got == model_.recipients(name) && has_match == !got.empty();
  }
  /// As publish(), with two clients disconnected half-way; the order of the others must not suffer.
  bool publish_and_disconnect(const std::string& name, int first, int second) {
    std::vector<int> expected = model_.recipients(name);
    const auto middle = expected.begin() + static_cast<std::ptrdiff_t>(expected.size() / 2);
    const int trigger = expected.empty() ? -1 : *middle;
    if (!expected.empty()) {
      expected.erase(std::remove_if(middle + 1, expected.end(),
                                    [&](int id) { return id == first || id == second; }),
                     expected.end());
    }
    std::vector<int> got;
    channels_.for_each_match(name, [&](shards::Subscriber& to) {
      const int id = static_cast<Client&>(to).id;
      got.push_back(id);
      if (id == trigger) {
        reconnect(first);
        reconnect(second);
      }
    });
    return got == expected && publish(name);
  }
  bool state(int id) {
    const auto views = client(id).subscriptions();
    const std::set<std::string> names(views.begin(), views.end());
    return names == model_.names_of(id) && names.size() == views.size() &&
           views.size() == client(id).subscription_count() &&
           set_of(channels_.channels()) == model_.names(false) &&
           set_of(channels_.patterns()) == model_.names(true) &&
           channels_.channel_count() == model_.names(false).size() &&
           channels_.pattern_count() == model_.names(true).size();
  }
  bool subscribed(int id, const std::string& name) {
    return channels_.subscribed(client(id), name) == model_.subscribed(id, name);
  }

  const shards::Channels& channels() const { return channels_; }

 private:
  Client& client(int id) { return *clients_[static_cast<std::size_t>(id)]; }
  static std::set<std::string> set_of(const std::vector<std::string_view>& views) {
    return {views.begin(), views.end()};
  }

  shards::Channels channels_;
  ChannelsModel model_;
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace webshocket::tests
