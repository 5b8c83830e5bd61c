// See preflight-internal.h: what the other nodes say: their clocks by the Date of their answers,
// and the versions of etcd's members.
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/monotime.h"
#include "cli/preflight-facts.h"
#include "cli/preflight-internal.h"
#include "etcd/client.h"
#include "etcd/maintenance.h"
#include "pki/layout.h"

enum { ANSWER_MSEC = 3000 };
// etcd warns above one second (its rafthttp probes); tokens and leases suffer soon after.
static const int64_t skew_warned = 1 * USEC_PER_SEC, skew_refused = 60 * USEC_PER_SEC;

static size_t ignore_body(char *data, size_t size, size_t n, void *userdata)
{
    return size * n;
}

static size_t read_header(char *data, size_t size, size_t n, void *userdata)
{
    static const char name[] = "date:";
    time_t *date = userdata;
    size_t len = size * n;
    if (len > strlen(name) && strncasecmp(data, name, strlen(name)) == 0) {
        _cleanup_free_ char *text = xstrndup(data + strlen(name), len - strlen(name));
        *date = curl_getdate(text, NULL);
    }
    return len;
}

// The Date of an answer, whatever the answer; the other side is believed without its certificate,
// since nothing but a warning comes of it. 0, or -EAGAIN.
static int ask_date(const struct preflight_subject *subject, const char *url, int64_t *ret_skew,
                    int64_t *ret_doubt)
{
    time_t date = -1;
    CURL *easy = curl_easy_init();
    if (!easy)
        return -ENOMEM;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)ANSWER_MSEC);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(easy, CURLOPT_SSLCERT, subject->etcd_cert);
    curl_easy_setopt(easy, CURLOPT_SSLKEY, subject->etcd_key);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, read_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &date);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore_body);
    int64_t asked = walltime_now().nsec / NSEC_PER_USEC;
    CURLcode code = curl_easy_perform(easy);
    int64_t answered = walltime_now().nsec / NSEC_PER_USEC;
    curl_off_t before = 0; // when the connection stood
    curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &before);
    curl_easy_cleanup(easy);
    if (code != CURLE_OK || date == -1)
        return -EAGAIN;
    *ret_skew = facts_skew(date, asked + before, answered, ret_doubt);
    return 0;
}

static void judge_skew(struct preflight *p, const char *what, int64_t skew, int64_t doubt)
{
    int64_t size = skew < 0 ? -skew : skew;
    double seconds = (double)size / (double)USEC_PER_SEC;
    const char *way = skew < 0 ? "behind" : "ahead of";
    if (size <= skew_warned + doubt)
        preflight_find(p, PREFLIGHT_GOOD, what, "the clocks agree within a second or two");
    else
        preflight_find(
            p, size > skew_refused ? PREFLIGHT_ERROR : PREFLIGHT_WARNING, what,
            "this clock is %.0f s %s that of %s: certificates, leases and logs go by it. "
            "Set one of them right (`timedatectl set-ntp true`, or chrony)",
            seconds, way, what);
}

static bool ask_clock(struct preflight *p, const char *name, const char *url)
{
    int64_t skew = 0, doubt = 0;
    if (ask_date(p->subject, url, &skew, &doubt) < 0)
        return false;
    judge_skew(p, name, skew, doubt);
    return true;
}

void preflight_clock_skew(struct preflight *p)
{
    const struct preflight_subject *subject = p->subject;
    size_t answers = 0;
    for (size_t i = 0; i < subject->n_peers; i++) {
        const struct preflight_peer *peer = &subject->peers[i];
        _cleanup_free_ char *api = pki_url(peer->address, subject->plane->api_port);
        _cleanup_free_ char *etcd = pki_url(peer->address, subject->plane->etcd_client_port);
        if (str_equal(peer->name, subject->plane->node_name))
            continue;
        answers +=
            ask_clock(p, peer->name, api) || (subject->etcd_cert && ask_clock(p, peer->name, etcd));
    }
    for (size_t i = 0; answers == 0 && subject->etcd_endpoints && i < subject->etcd_endpoints->n;
         i++)
        answers +=
            ask_clock(p, subject->etcd_endpoints->items[i], subject->etcd_endpoints->items[i]);
    if (answers == 0)
        preflight_find(p, PREFLIGHT_NOT_CHECKED, NULL, "no other node answers yet");
}

// ---- versions ----

struct seen {
    struct facts_version lowest, highest;
    char *lowest_name, *highest_name;
    size_t n;
};

static bool is_lower(struct facts_version a, struct facts_version b)
{
    return a.major < b.major || (a.major == b.major && a.minor < b.minor);
}

static void note(struct seen *seen, const char *name, struct facts_version version)
{
    if (seen->n == 0 || is_lower(version, seen->lowest)) {
        free(seen->lowest_name);
        seen->lowest_name = xstrdup(name);
        seen->lowest = version;
    }
    if (seen->n == 0 || is_lower(seen->highest, version)) {
        free(seen->highest_name);
        seen->highest_name = xstrdup(name);
        seen->highest = version;
    }
    seen->n++;
}

static void ask_member(const struct preflight_subject *subject, const char *name,
                       const struct string_list *urls, struct seen *seen)
{
    const struct etcd_config config = {.endpoints = urls,
                                       .cacert = subject->etcd_cacert,
                                       .cert = subject->etcd_cert,
                                       .key = subject->etcd_key,
                                       .timeout_msec = ANSWER_MSEC};
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    _cleanup_etcd_status_ struct etcd_status status = {0};
    struct facts_version version;
    if (etcd_client_new(&config, &client, NULL) == 0 && etcd_status(client, &status, NULL) == 0 &&
        facts_version(status.version, &version))
        note(seen, name, version);
}

void preflight_cluster_versions(struct preflight *p)
{
    const struct preflight_subject *subject = p->subject;
    struct seen seen = {0};
    struct facts_version own;
    if (!subject->etcd_endpoints)
        return;
    for (size_t i = 0; i < subject->etcd_endpoints->n; i++) {
        const struct string_list one = {.items = &subject->etcd_endpoints->items[i], .n = 1};
        ask_member(subject, one.items[0], &one, &seen);
    }
    if (seen.n == 0)
        return;
    if (facts_version(subject->plane->etcd_image_tag, &own) && preflight_container(p, "etcd", NULL))
        note(&seen, "this node", own);
    if (is_lower(seen.lowest, seen.highest))
        preflight_find(p, PREFLIGHT_WARNING, "etcd",
                       "etcd is %lld.%lld at %s and %lld.%lld at %s: a cluster works as its lowest "
                       "version, one minor version apart at most, and only while it is upgraded",
                       seen.lowest.major, seen.lowest.minor, seen.lowest_name, seen.highest.major,
                       seen.highest.minor, seen.highest_name);
    else
        preflight_find(p, PREFLIGHT_GOOD, "etcd", "etcd is %lld.%lld everywhere", seen.lowest.major,
                       seen.lowest.minor);
    free(seen.lowest_name);
    free(seen.highest_name);
}
