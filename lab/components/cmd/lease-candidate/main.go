// Command lease-candidate campaigns for a Lease with client-go's own elector, configured as kube-vip
// v1 configures it (release on cancel). It is a judge in tests: what it writes is what our program
// must write, and each must be able to take over from the other.
//
// It prints one JSON object a line: {"event":"leading"|"stopped"|"observed","leader":...,"at":ms}.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

var output sync.Mutex

func say(event, leader string) {
	output.Lock()
	defer output.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"event":  event,
		"leader": leader,
		"at":     float64(time.Now().UnixMicro()) / 1000,
	})
}

func main() {
	server := flag.String("server", "", "URL of the API server")
	ca := flag.String("ca", "", "file with the CA bundle")
	token := flag.String("token", "", "bearer token")
	namespace := flag.String("namespace", "default", "namespace of the Lease")
	name := flag.String("name", "", "name of the Lease")
	identity := flag.String("identity", "", "identity of this candidate")
	lease := flag.Duration("lease", 5*time.Second, "lease duration")
	renew := flag.Duration("renew", 3*time.Second, "renew deadline")
	retry := flag.Duration("retry", time.Second, "retry period")
	flag.Parse()

	client, err := kubernetes.NewForConfig(&rest.Config{
		Host:            *server,
		BearerToken:     *token,
		TLSClientConfig: rest.TLSClientConfig{CAFile: *ca},
	})
	if err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: *namespace, Name: *name},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: *identity},
		},
		ReleaseOnCancel: true,
		LeaseDuration:   *lease,
		RenewDeadline:   *renew,
		RetryPeriod:     *retry,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { say("leading", *identity) },
			OnStoppedLeading: func() { say("stopped", *identity) },
			OnNewLeader:      func(leader string) { say("observed", leader) },
		},
	})
}
