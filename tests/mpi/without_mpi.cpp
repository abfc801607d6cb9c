// A build without MPI: the one file that speaks it, compiled as where mpi.h was not found, in front
// of the library's.
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "cli/launch.h"
#include "cli/program.h"
#include "core/mpi_group.h"
#include "support/support.h"

namespace retort {
namespace {

TEST(WithoutMpi, IsSaidInTheListOfParts) {
  ASSERT_FALSE(has_mpi());
  std::ostringstream out, err;
  EXPECT_EQ(cli::run({"list", "parts"}, out, err), 0) << err.str();
  EXPECT_NE(out.str().find(mpi_detail()), std::string::npos) << out.str();
}

TEST(WithoutMpi, OneProcessIsAGroupOfOne) {
  EXPECT_EQ(cli::join({.several = false, .first = true})->size(), 1);
}

TEST(WithoutMpi, SeveralAreRefusedWithWhatToDo) {
  tests::expect_error<ResourceError>([] { cli::join({.several = true, .first = true}); },
                                     {"this build has no MPI", "libopenmpi-dev", "--shard"});
}

}  // namespace
}  // namespace retort
