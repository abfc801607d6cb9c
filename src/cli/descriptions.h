// What is known of methods, parametrisations, networks, protocols and streams, as JSON and as
// Markdown.
#pragma once

#include <iosfwd>

#include "continual/continual.h"
#include "retort/core/records.h"
#include "retort/eval/evaluate.h"
#include "retort/methods/method.h"
#include "retort/nets/network.h"
#include "retort/synthetic/parametrisation.h"

namespace retort::cli {

/// Options as a list, each with its default, what it takes and what it means.
Json options_json(const OptionSet& options);
void print_options(std::ostream& out, const Json& options);

/// The options that anything with declare() has.
template <class Declares>
Json options_of(Declares&& declares) {
  OptionSet set;
  declares.declare(set);
  return options_json(set);
}

/// Each with its "kind" and "name".
Json describe(const methods::MethodEntry& entry);
Json describe(const synthetic::ParametrisationEntry& entry);
Json describe(const nets::NetworkEntry& network);
Json describe(const eval::Protocol& protocol);
Json describe(const continual::StreamKind& stream);

/// One of these as a section of Markdown.
void print_entry(std::ostream& out, const Json& entry);

}  // namespace retort::cli
