#include "cli/host.h"

namespace retort::cli {

ProgressStyle Environment::progress() const {
  if (!group->first()) return {};
  if (host) return {.tell = host->progress};
  return {&raw(err), terminal, width};
}

namespace {

data::Dataset opened(const Environment& environment, const data::DataOptions& options,
                     const std::filesystem::path& cache) {
  if (environment.host && environment.host->open)
    return environment.host->open(options, cache, environment.progress());
  return data::open_dataset(options, cache, environment.progress());
}

}  // namespace

data::Dataset open_data(const Environment& environment, const data::DataOptions& options,
                        const std::filesystem::path& cache) {
  // The first process leaves whitening in the cache, where the others find it.
  if (!environment.group->first()) environment.group->barrier();
  data::Dataset data =
      opened(environment, options, environment.cache.empty() ? cache : environment.cache);
  if (environment.group->first()) environment.group->barrier();
  return data;
}

}  // namespace retort::cli
