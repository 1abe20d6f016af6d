/// What is written in a certificate.
#pragma once

#include <openssl/types.h>

#include <string>
#include <vector>

#include <webshocket/tls.hpp>

namespace webshocket::shards {

/// Whom it is for, in words for people: "localhost, 127.0.0.1". Its bytes do a terminal no harm.
std::string names_in_words(const X509* certificate);

/// The host names that it is for, in small letters, "*.example.com" among them.
std::vector<std::string> host_names(const X509* certificate);

ClientCertificate describe(X509* certificate);

}  // namespace webshocket::shards
