// See key-pool.h. libcrypto's generators may run in several threads at once; nothing else of ours
// is called in them.
#include "pki/key-pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "base/alloc.h"

enum { THREADS_MAX = 16 };

struct key_pool {
    enum key_algorithm algorithm;
    pthread_mutex_t mutex; // guards what follows
    pthread_cond_t made;
    EVP_PKEY **keys;
    size_t ready;    // keys in `keys`
    size_t to_begin; // ordered, and begun by no thread yet
    size_t in_work;
    pthread_t threads[THREADS_MAX];
    size_t n_threads; // set before they need it, read by the owner only
};

static void *work(void *userdata)
{
    struct key_pool *pool = userdata;
    pthread_mutex_lock(&pool->mutex);
    while (pool->to_begin > 0) {
        EVP_PKEY *key = NULL;
        pool->to_begin--;
        pool->in_work++;
        pthread_mutex_unlock(&pool->mutex);
        key_generate(pool->algorithm, &key, NULL);
        pthread_mutex_lock(&pool->mutex);
        pool->in_work--;
        if (key)
            pool->keys[pool->ready++] = key;
        pthread_cond_signal(&pool->made);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static size_t usable_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
}

// They take no signals: those are the command's.
static void start_threads(struct key_pool *pool, size_t n)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool->n_threads < MIN(n, (size_t)THREADS_MAX) &&
           pthread_create(&pool->threads[pool->n_threads], NULL, work, pool) == 0)
        pool->n_threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct key_pool *key_pool_new(enum key_algorithm algorithm, size_t n)
{
    struct key_pool *pool = xcalloc(1, sizeof(*pool));
    pool->algorithm = algorithm;
    pool->keys = xcalloc(n + 1, sizeof(pool->keys[0]));
    pool->to_begin = n;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->made, NULL);
    if (n > 1)
        start_threads(pool, MIN(usable_cores(), n));
    return pool;
}

int key_pool_take(struct key_pool *pool, EVP_PKEY **ret, struct error *err)
{
    EVP_PKEY *key = NULL;
    pthread_mutex_lock(&pool->mutex);
    while (pool->n_threads > 0 && pool->ready == 0 && pool->in_work + pool->to_begin > 0)
        pthread_cond_wait(&pool->made, &pool->mutex);
    if (pool->ready > 0)
        key = pool->keys[--pool->ready];
    pthread_mutex_unlock(&pool->mutex);
    if (!key)
        return key_generate(pool->algorithm, ret, err);
    *ret = key;
    return 0;
}

void key_pool_free(struct key_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->to_begin = 0;
    pthread_mutex_unlock(&pool->mutex);
    for (size_t i = 0; i < pool->n_threads; i++)
        pthread_join(pool->threads[i], NULL);
    for (size_t i = 0; i < pool->ready; i++)
        EVP_PKEY_free(pool->keys[i]);
    pthread_cond_destroy(&pool->made);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->keys);
    free(pool);
}
