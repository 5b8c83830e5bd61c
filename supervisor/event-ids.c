// See event-ids.h.
#include "supervisor/event-ids.h"

#include <stdlib.h>
#include <string.h>

#include "base/macro.h"

// The one for reasons that are not in the table.
#define MESSAGE_ID_OTHER "cf910a99796f42a3947437b904c318e5"

// Sorted by reason (bsearch).
static const struct event_id ids[] = {
    {"BackOff", "18df2b962426467db2af00367869c938"},
    {"CertificateNotRenewed", "499f96a3becc435b89ca873b03483d61"},
    {"CertificateRenewed", "b58d6b95415a458a86534009c1d45d90"},
    {"CgroupNotWatched", "416a52497cdc4d68b3a93c6987f02dcf"},
    {"Completed", "e189213933f146a096d51e4ea41c0bd0"},
    {"ConfigurationNote", "a8de4aaa4411497c81f30ddfe5622714"},
    {"ConfigurationRefused", "1fd1cdd43b7245929912848cabbef04d"},
    {"ConfigurationReloaded", "470b75cb84c8432fa187e60274f07f61"},
    {"Confirmed", "5ce67dfa50034c3283cf6a5e80479a69"},
    {"DNSConfigForming", "01d908af90e94c62aa407cbba1eab0d5"},
    {"DeadlineExceeded", "506b5382671a42c4810436991e004f3b"},
    {"Degraded", "87f8606817aa49fa815ae47cdfd5b213"},
    {"DependencyCycle", "0c6b5acdf508455ca75fdaea0d2086a9"},
    {"DependencyNotReady", "552a9a8eb834400587f0a8dbb91be88f"},
    {"DependencyReady", "adb8de7861d34c0b8f7be68b43a4d3ed"},
    {"DiskPressure", "c2de9ff8212b48ad8dbfea95e66cb2f6"},
    {"DiskPressureOver", "544de38b456a4c1a93aaaf2226a18f59"},
    {"EmptyDirOverLimit", "34de723b4c124e34bd99c035d669189f"},
    {"Exited", "59bfcfab3d18464799dcb837b5d479f3"},
    {"Failed", "8096c0bc88a8414ab785582dd0aaa0c8"},
    {"FailedCleanup", "c395c2554a424c03b6a716e79495d953"},
    {"FailedCreatePodSandBox", "680b72a481c04adcb21dbaf3cf4b67a2"},
    {"FailedKillPodSandBox", "b9e9ee08e5aa4c0297cf4af34cd847dc"},
    {"FailedPostStartHook", "c4fddf19e746462eac216487185e352d"},
    {"FailedPreStopHook", "d3205f30e74e48a18aa484dccb64a875"},
    {"FilesChanged", "a78d6f95643c480b8477b24c5334bb2f"},
    {"FilesNotWatched", "42526a2397de4375af0729ef0b189382"},
    {"HistoryNotSaved", "c42bf5ec69ce4699bea1ddf49b4827b3"},
    {"HookWarning", "3ae4eb76c165471f8706337c1c02789a"},
    {"HostLimitation", "0543344c207e4331ba024d31cf2ec946"},
    {"HostPortConflict", "a9a258514cfc4883a3a41b28f89d5e8a"},
    {"HostPortNotMapped", "3ac065a471fc4b22b7d23c0a9b2cd6d7"},
    {"Killing", "ef7c5ff468414ea08c41c3f3f0833a27"},
    {"LeftoversRemoved", "05dd930f8a1e4295a842ee37c59fee05"},
    {"LimitNotEnforced", "0e6ec673ac694d0ebf29abeef258af29"},
    {"Lost", "40765632f4f649ce990263eb560c0125"},
    {"ManifestAccepted", "fe31cd2df4204709b7fab7bf0f447626"},
    {"ManifestConflict", "d054db73a9f84c839a51e3d509ac1143"},
    {"ManifestRefused", "652545c057494b3bb24905e2083bd98b"},
    {"ManifestRemoved", "c91e26aed295475b94a10f925bfed97b"},
    {"ManifestWarning", "a278fe1452084bf1bb2846701b3e71c1"},
    {"MissingClusterDNS", "047d2f7e79284593b2d5b8b21458e0c2"},
    {"NetworkConfigInvalid", "8d26fbf14f794dd6a57b764c6b734d01"},
    {"NetworkNotReady", "202c0d96aef84bf5ba5d2d964e2ef1c3"},
    {"NoManifestDirectory", "255535922f264472a3013d2d5d104fb9"},
    {"NodeShutdown", "cf10467af0894ad6ab7805c41a24ea59"},
    {"NodeShutdownCancelled", "7765b071a0eb47849d4162bd037d667a"},
    {"OOMKilled", "e9afd32cfd354cdba82b12b9f4f1fa6e"},
    {"OOMKilling", "3bcda7c2682b4ab79f1a38c9036df1c9"},
    {"PartHung", "84bacf6d1ee140ceb64983f0a79f6fa1"},
    {"PidsLimitReached", "eb9d2f7fc60f46458d7644c7f62b421a"},
    {"PodFailed", "a2175f067c3c4fba9be935c2fd4145df"},
    {"Prepared", "2495bbf1ded34f4493bc901125414e07"},
    {"ProbeWarning", "088ce3dc445f4dda979cc26337ba3b8c"},
    {"QuorumGuard", "838033f7ae1b4d52868ff0e0245b4a98"},
    {"QuorumGuardOverridden", "92a6fe051f1d493a8129cccc0ad0483e"},
    {"QuorumGuardPassed", "69fd9a8fe72e45eaab58de21e9f12b74"},
    {"Removed", "a5c2b46e0fbb41008ebc9e98eb53d5bc"},
    {"RollStopped", "9aeb215d63e24dcab52c9e178e4c58bb"},
    {"SandboxChanged", "4c1f74b894e74eb9a086856847c4519a"},
    {"ShimDied", "1156e9259af24316aad128c79e6a95da"},
    {"ShimNotAdopted", "23aab3aeb55f48f398e036e2df09c1e9"},
    {"ShimUnresponsive", "2b425c4b18e34cb8a4cc2654148d2de6"},
    {"ShutdownDelayTooShort", "9fdfa49c63e541389f7fe31e58fac599"},
    {"SignalFailed", "05a72abc5f7b4d16bad219bceed9bde6"},
    {"Started", "204045b6223e4a22b8db31950c147329"},
    {"StateDamaged", "ee33c8a3ae5e4433b46428eb09ef3894"},
    {"StateNotSaved", "dd6588dd35034241ad45e2cd052b56b5"},
    {"StillAlive", "65825030c797424083a13f6a7e0a5f7b"},
    {"Stopped", "c849ff228e344d8fbe6b3cc4f422530f"},
    {"SysctlForbidden", "de3cafdba1aa434b8ec17bbb0f1be773"},
    {"TimerFailed", "0c43b5881c764b1ebb5a8227a6dd4fdb"},
    {"TrialFailed", "e44a15eed8424644930968fe1e8d5541"},
    {"Unhealthy", "b3790a398d75441d9bb37e5ae9ddd687"},
    {"UnknownContainer", "26d2c97534584d21b5a0b72c3de9e999"},
};

const struct event_id *event_ids(size_t *ret_n)
{
    *ret_n = ARRAY_SIZE(ids);
    return ids;
}

static int compare_reason(const void *key, const void *item)
{
    return strcmp(key, ((const struct event_id *)item)->reason);
}

const char *event_message_id(const char *reason)
{
    const struct event_id *found =
        bsearch(reason, ids, ARRAY_SIZE(ids), sizeof(ids[0]), compare_reason);
    return found ? found->id : MESSAGE_ID_OTHER;
}
