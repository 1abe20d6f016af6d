/// All of webshocket.
#pragma once

#include <webshocket/client.hpp>
#include <webshocket/client_config.hpp>
#include <webshocket/client_loop.hpp>
#include <webshocket/config.hpp>
#include <webshocket/connection.hpp>
#include <webshocket/error.hpp>
#include <webshocket/handler.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/payload.hpp>
#include <webshocket/predicate.hpp>
#include <webshocket/queue_handler.hpp>
#include <webshocket/rpc.hpp>
#include <webshocket/server.hpp>
#include <webshocket/session.hpp>
#include <webshocket/task.hpp>
#include <webshocket/tls.hpp>
#include <webshocket/types.hpp>
#include <webshocket/upgrade.hpp>
#include <webshocket/value.hpp>
